/*@ add4: dsp */
/* Four values that lie together, `count` times, `step` apart, added to four sums. */
static inline void add4(int32_t *sums, const int8_t *from, int32_t step, int32_t count) {
#if defined(WITH_MVE)
    int32x4_t sum = vld1q_s32(sums);
    for (; count > 0; count--, from += step) sum = vaddq_s32(sum, vldrbq_s32(from));
    vst1q_s32(sums, sum);
#elif defined(WITH_DSP)
    while (count > 0) {
        /* So many values have sums of 16 bits. */
        const int8_t *const stop = from + (count < 256 ? count : 256) * step;
        uint32_t even = 0, odd = 0;
        for (; from != stop; from += step) {
            const uint32_t x = word_at(from);
            __asm__("sxtab16 %0, %0, %2\n\tsxtab16 %1, %1, %2, ror #8" : "+&r"(even), "+r"(odd) : "r"(x));
        }
        sums[0] += (int16_t)even, sums[2] += (int16_t)(even >> 16);
        sums[1] += (int16_t)odd, sums[3] += (int16_t)(odd >> 16);
        count -= 256;
    }
#else
    for (; count > 0; count--, from += step) {
        sums[0] += from[0];
        sums[1] += from[1];
        sums[2] += from[2];
        sums[3] += from[3];
    }
#endif
}

/*@ mean: row_at scaled limited add4 */
/* The number of a sum; `divisor` is of means that are divided behind. */
static int8_t mean_of(const mean_t *k, int32_t sum) {
    if (k->rescales) sum = scaled((uint32_t)sum, k->multiplier, k->shift);
    if (k->divisor > 1) sum = (k->rounds == 0 ? sum : sum > 0 ? sum + k->divisor / 2 : sum - k->divisor / 2) / k->divisor;
    return limited(sum + k->out_zero, -128, 127);
}

/* Sums over up to two runs of axes for each element that stays. */
static void mean(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const mean_t *k = (const mean_t *)layer;
    const int8_t *in = row_at(work, place, 0, 0);
    int8_t *out = row_at(work, &place[1], row, 0);
    int32_t a, i, j;
    for (a = 0; a < k->kept_0; a++) {
        const int8_t *from = in + a * k->kept_step_0;
        int32_t b = 0;
        for (; k->kept_step_1 == 1 && b + 3 < k->kept_1; b += 4, from += 4) {
            int32_t sums[4];
            for (i = 0; i < 4; i++) sums[i] = k->start;
            for (i = 0; i < k->over_0; i++) add4(sums, from + i * k->over_step_0, k->over_step_1, k->over_1);
            for (i = 0; i < 4; i++) *out++ = mean_of(k, sums[i]);
        }
        for (; b < k->kept_1; b++, from += k->kept_step_1) {
            int32_t sum = k->start;
            for (i = 0; i < k->over_0; i++)
                for (j = 0; j < k->over_1; j++) sum += from[i * k->over_step_0 + j * k->over_step_1];
            *out++ = mean_of(k, sum);
        }
    }
}
