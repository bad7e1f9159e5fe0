/*@ mean: row_at scaled limited */
/* Sums over up to two runs of axes for each element that stays; `divisor` is of means that are divided behind. */
static void mean(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const mean_t *k = (const mean_t *)layer;
    const int8_t *in = row_at(work, place, 0, 0);
    int8_t *out = row_at(work, &place[1], row, 0);
    int32_t a, b, i, j;
    for (a = 0; a < k->kept_0; a++) {
        for (b = 0; b < k->kept_1; b++) {
            const int8_t *from = in + a * k->kept_step_0 + b * k->kept_step_1;
            int32_t sum = k->start;
            for (i = 0; i < k->over_0; i++)
                for (j = 0; j < k->over_1; j++) sum += from[i * k->over_step_0 + j * k->over_step_1];
            if (k->rescales) sum = scaled((uint32_t)sum, k->multiplier, k->shift);
            if (k->divisor > 1) sum = (k->rounds == 0 ? sum : sum > 0 ? sum + k->divisor / 2 : sum - k->divisor / 2) / k->divisor;
            *out++ = limited(sum + k->out_zero, -128, 127);
        }
    }
}
