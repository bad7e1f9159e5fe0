/*@ raise: dsp */
/* Each value the larger of itself and another. */
static inline void raise_to(int8_t *values, const int8_t *others, int32_t count) {
#if defined(WITH_MVE)
    for (; count > 0; count -= 16, values += 16, others += 16) {
        const mve_pred16_t rest = vctp8q((uint32_t)count);
        vstrbq_p_s8(values, vmaxq_s8(vldrbq_z_s8(values, rest), vldrbq_z_s8(others, rest)), rest);
    }
#else
#if defined(WITH_DSP)
    for (; count >= 4; count -= 4, values += 4, others += 4) {
        uint32_t larger;
        __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(larger) : "r"(word_at(values)), "r"(word_at(others)) : "cc");
        memcpy(values, &larger, sizeof larger);
    }
#endif
    for (; count > 0; count--, values++, others++)
        if (*others > *values) *values = *others;
#endif
}

/*@ max_pool_row: row_at raise taps */
static void max_pool_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const max_pool_row_t *k = (const max_pool_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t top = first_tap(y, 1), bottom = stop_tap(y, 1, k->in_height, k->taps_y);
    const int32_t depth = k->depth, bytes = k->out_width * depth, high = k->high;
    int8_t *out = row_at(work, &place[1], row, bytes);
    int32_t x, c, i, j;
    memset(out, k->low, (size_t)bytes);
    for (i = top; i < bottom; i++) {
        const int8_t *in = row_at(work, place, base + y + i, k->in_width * depth);
        for (x = 0; x < k->out_width; x++) {
            const int32_t at = x * k->stride_x - k->pad_x, right = stop_tap(at, 1, k->in_width, k->taps_x);
            for (j = first_tap(at, 1); j < right; j++) raise_to(out + x * depth, in + (at + j) * depth, depth);
        }
    }
    for (c = 0; c < bytes && high < 127; c++)
        if (out[c] > high) out[c] = (int8_t)high;
}

/*@ average_pool_row: row_at limited taps add4 */
static int8_t average(const average_pool_row_t *k, int32_t sum, int32_t count) {
    return limited((sum > 0 ? sum + count / 2 : sum - count / 2) / count, k->low, k->high);
}

static void average_pool_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const average_pool_row_t *k = (const average_pool_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t top = first_tap(y, 1), bottom = stop_tap(y, 1, k->in_height, k->taps_y), depth = k->depth;
    int8_t *out = row_at(work, &place[1], row, k->out_width * depth);
    int32_t x, c, i, j;
    for (x = 0; x < k->out_width; x++) {
        const int32_t at = x * k->stride_x - k->pad_x;
        const int32_t left = first_tap(at, 1), right = stop_tap(at, 1, k->in_width, k->taps_x);
        const int32_t count = (bottom - top) * (right - left), from = (at + left) * depth;
        for (c = 0; c + 3 < depth; c += 4) {
            int32_t sums[4] = {0, 0, 0, 0};
            for (i = top; i < bottom; i++)
                add4(sums, row_at(work, place, base + y + i, k->in_width * depth) + from + c, depth, right - left);
            for (i = 0; i < 4; i++) *out++ = average(k, sums[i], count);
        }
        for (; c < depth; c++) {
            int32_t sum = 0;
            for (i = top; i < bottom; i++) {
                const int8_t *in = row_at(work, place, base + y + i, k->in_width * depth) + from + c;
                for (j = left; j < right; j++, in += depth) sum += *in;
            }
            *out++ = average(k, sum, count);
        }
    }
}
