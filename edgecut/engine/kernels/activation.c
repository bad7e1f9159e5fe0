/*@ leading_zeros */
static int32_t leading_zeros(uint32_t x) {
    int32_t n = 0;
    for (; x < 0x80000000u && n < 32; x <<= 1) n++;
    return n;
}

/*@ softmax_row: row_at leading_zeros limited */
/* a * b in Q0.31, rounded once. */
static int32_t product_q31(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* 1 / (1 + x) in Q0.31 for x in Q0.31: three steps of Newton from 48/17 - 32/17 * half the denominator. */
static int32_t inverse_q31(int32_t x) {
    const int32_t half = (int32_t)(((int64_t)x + 2147483647 + 1) / 2);
    int32_t y = 1515870810 + product_q31(half, -1010580540), n;
    for (n = 0; n < 3; n++) {
        const int32_t rest = 536870912 - product_q31(half, y);
        y += (int32_t)((int64_t)product_q31(y, rest) * 4);
    }
    return y > 1073741823 ? 2147483647 : y * 2;
}

static void softmax_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const softmax_row_t *k = (const softmax_row_t *)layer;
    const int8_t *in = row_at(work, place, row, k->groups * k->depth);
    int8_t *out = row_at(work, &place[1], row, k->groups * k->depth);
    int32_t g, c;
    for (g = 0; g < k->groups; g++, in += k->depth, out += k->depth) {
        int32_t most = -128, sum = 0, over, factor;
        for (c = 0; c < k->depth; c++)
            if (in[c] > most) most = in[c];
        for (c = 0; c < k->depth; c++) {
            const int32_t part = k->exps[most - in[c]];
            if (part >= 0) sum += (part >> 12) + (part >> 11 & 1);
        }
        over = leading_zeros((uint32_t)sum);
        factor = inverse_q31((int32_t)(((uint32_t)sum << over) - 0x80000000u));
        for (c = 0; c < k->depth; c++) {
            const int32_t part = product_q31(factor, k->exps[most - in[c]]), right = 12 - over + 31 - 8;
            int32_t value = 0;
            /* Of so many equal values that 32 bits are shifted out, none is worth half a step. */
            if (k->exps[most - in[c]] >= 0 && right < 32) {
                const int32_t mask = (int32_t)((1u << right) - 1u);
                value = (int32_t)((uint32_t)part >> right) + ((part & mask) > (mask >> 1));
            }
            out[c] = limited(value - 128, -128, 127);
        }
    }
}

/*@ lookup_row: row_at */
/* Each value by a table of its 256 results. */
static void lookup_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const lookup_row_t *k = (const lookup_row_t *)layer;
    const int8_t *in = row_at(work, place, row, k->bytes), *table = k->table;
    int8_t *out = row_at(work, &place[1], row, k->bytes);
    int32_t count = k->bytes;
#ifdef WITH_MVE
    for (; count > 0; count -= 16, in += 16, out += 16) {
        const mve_pred16_t rest = vctp8q((uint32_t)count);
        const uint8x16_t at = vreinterpretq_u8_s8(veorq_s8(vldrbq_z_s8(in, rest), vdupq_n_s8(-128)));
        vstrbq_p_s8(out, vldrbq_gather_offset_s8(table, at), rest);
    }
#else
    table += 128;
    for (; count >= 4; count -= 4, in += 4, out += 4) {
        out[0] = table[in[0]];
        out[1] = table[in[1]];
        out[2] = table[in[2]];
        out[3] = table[in[3]];
    }
    for (; count > 0; count--) *out++ = table[*in++];
#endif
}
