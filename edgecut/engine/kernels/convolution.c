/*@ dot */
static uint32_t dot(uint32_t sum, const int8_t *a, const int8_t *b, int32_t count) {
    for (; count > 0; count--) sum += (uint32_t)(*a++ * *b++);
    return sum;
}

/*@ dot4: dsp four_dots */
/* Four filters, `step` apart, on the same values. */
static inline void dot4(uint32_t *sums, const int8_t *filters, int32_t step, const int8_t *values, int32_t count) {
#if defined(WITH_MVE)
    const int32x4_t dots = four_dots(values, filters, step, count);
    vst1q_u32(sums, vaddq_u32(vld1q_u32(sums), vreinterpretq_u32_s32(dots)));
#else
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const int8_t *w0 = filters, *w1 = w0 + step, *w2 = w1 + step, *w3 = w2 + step;
#if defined(WITH_DSP)
    for (; count >= 4; count -= 4, values += 4, w0 += 4, w1 += 4, w2 += 4, w3 += 4) {
        const uint32_t x = word_at(values), even = even_bytes(x), odd = odd_bytes(x);
        const uint32_t a = word_at(w0), b = word_at(w1), c = word_at(w2), d = word_at(w3);
        s0 = two_products(odd_bytes(a), odd, two_products(even_bytes(a), even, s0));
        s1 = two_products(odd_bytes(b), odd, two_products(even_bytes(b), even, s1));
        s2 = two_products(odd_bytes(c), odd, two_products(even_bytes(c), even, s2));
        s3 = two_products(odd_bytes(d), odd, two_products(even_bytes(d), even, s3));
    }
#endif
    for (; count > 0; count--) {
        const int32_t x = *values++;
        s0 += (uint32_t)(x * *w0++);
        s1 += (uint32_t)(x * *w1++);
        s2 += (uint32_t)(x * *w2++);
        s3 += (uint32_t)(x * *w3++);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
#endif
}

/*@ four_of_two: dsp */
#if defined(WITH_DSP) && !defined(WITH_MVE)
/* Four values of a filter on those of two pixels, which are given by their even and their odd bytes. In one piece, which
   one register beside the sums is enough for: the compiler would use more than there are. */
static inline UNUSED void four_of_two(uint32_t *sum, uint32_t *next, uint32_t w, uint32_t x0, uint32_t x1,
                                      uint32_t y0, uint32_t y1) {
    uint32_t half;
    __asm__("sxtb16 %2, %3\n\tsmlad %0, %2, %4, %0\n\tsmlad %1, %2, %6, %1\n\t"
            "sxtb16 %2, %3, ror #8\n\tsmlad %0, %2, %5, %0\n\tsmlad %1, %2, %7, %1"
            : "+&r"(*sum), "+&r"(*next), "=&r"(half)
            : "r"(w), "r"(x0), "r"(x1), "r"(y0), "r"(y1));
}
#endif

/*@ dot22: four_of_two */
#ifndef WITH_MVE
/* Two filters, `step` apart, on the values of two pixels, `next` apart: sums by pixel, then by filter. */
static inline void dot22(uint32_t *sums, const int8_t *filters, int32_t step, const int8_t *values, int32_t next,
                         int32_t count) {
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const int8_t *w = filters, *v = w + step, *x = values, *y = x + next;
#ifdef WITH_DSP
    for (; count >= 4; count -= 4, w += 4, v += 4, x += 4, y += 4) {
        const uint32_t p = word_at(x), q = word_at(y);
        const uint32_t p0 = even_bytes(p), p1 = odd_bytes(p), q0 = even_bytes(q), q1 = odd_bytes(q);
        four_of_two(&s0, &s2, word_at(w), p0, p1, q0, q1);
        four_of_two(&s1, &s3, word_at(v), p0, p1, q0, q1);
    }
#endif
    for (; count > 0; count--) {
        const int32_t a = *w++, b = *v++, p = *x++, q = *y++;
        s0 += (uint32_t)(a * p);
        s1 += (uint32_t)(b * p);
        s2 += (uint32_t)(a * q);
        s3 += (uint32_t)(b * q);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}
#endif

/*@ total */
static uint32_t total(const int8_t *a, int32_t count) {
    int32_t sum = 0;
    for (; count > 0; count--) sum += *a++;
    return (uint32_t)sum;
}

/*@ conv_row: row_at requantize4 requantize_pair taps dot dot4 dot22 four_dots */
/* The rows of an input under a window, and the part of each line of taps that lies inside the picture. What lies outside
   is read from a line of the input's zero point, or left out where that is 0: first to last are the rows that are read,
   and pieces part to parts - 1 of a line (left of the picture, inside, right of it). moves: which bits of a place in the
   row count; none where the row is that line. */
typedef struct {
    const int8_t *rows[16];
    int32_t moves[16], left, right, first, last, part, parts;
} under_t;

/* A pixel's filters from f on. */
static void conv_pixel(const conv_row_t *k, const under_t *u, int32_t at, int32_t f, int8_t *out) {
    const int32_t line = k->taps_x * k->depth, filter = k->taps_y * line, filters = k->filters;
    const int32_t edges[4] = {0, u->left, u->right, line};
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t first = u->first, last = u->last, part = u->part, parts = u->parts;
    const int8_t *taps = k->weights + f * filter, *outside = k->outside, *shifts = k->shifts;
    const int32_t *bias = k->bias, *multipliers = k->multipliers;
    int32_t i, p;
    for (; f + 3 < filters; f += 4, taps += 4 * filter) {
        uint32_t sums[4];
        memcpy(sums, bias + f, sizeof sums);
        for (i = first; i < last; i++) {
            const int8_t *in = u->rows[i] + (at & u->moves[i]);
            for (p = part; p < parts; p++)
                dot4(sums, taps + i * line + edges[p], filter, p == 1 ? in + edges[p] : outside, edges[p + 1] - edges[p]);
        }
        requantize4(out + f, sums, multipliers + f, shifts + f, grid);
    }
    for (; f < filters; f++, taps += filter) {
        uint32_t sum = (uint32_t)bias[f];
        for (i = first; i < last; i++) {
            const int8_t *in = u->rows[i] + (at & u->moves[i]);
            for (p = part; p < parts; p++)
                sum = dot(sum, taps + i * line + edges[p], p == 1 ? in + edges[p] : outside, edges[p + 1] - edges[p]);
        }
        out[f] = requantized(sum, multipliers[f], shifts[f], grid);
    }
}

#ifdef WITH_MVE
/* A pixel whose lines of taps are inside. */
static void conv_inside(const conv_row_t *k, const under_t *u, int32_t at, int8_t *out) {
    const int32_t line = k->taps_x * k->depth, filter = k->taps_y * line, filters = k->filters & ~3;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t first = u->first, count = u->last - first;
    const int8_t *taps = k->weights + first * line, *shifts = k->shifts, *lines[16];
    const int32_t *bias = k->bias, *multipliers = k->multipliers;
    int32_t f, i;
    for (i = 0; i < count; i++) lines[i] = u->rows[first + i] + (at & u->moves[first + i]);
    for (f = 0; f < filters; f += 4, taps += 4 * filter) {
        int32x4_t sums = vld1q_s32(bias + f);
        for (i = 0; i < count; i++) sums = vaddq_s32(sums, four_dots(lines[i], taps + i * line, filter, line));
        requantize_lanes(out + f, sums, multipliers + f, shifts + f, grid);
    }
    if (f < k->filters) conv_pixel(k, u, at, f, out);
}
#else
/* Two pixels whose lines of taps are inside, by two filters at a time. */
static void conv_pair(const conv_row_t *k, const under_t *u, int32_t at, int8_t *out) {
    const int32_t line = k->taps_x * k->depth, filter = k->taps_y * line, next = k->stride_x * k->depth;
    const int32_t filters = k->filters, first = u->first, last = u->last;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t *bias = k->bias, *multipliers = k->multipliers;
    const int8_t *shifts = k->shifts, *taps = k->weights;
    int8_t *behind = out + filters;
    int32_t f, i;
    for (f = 0; f + 1 < filters; f += 2, taps += 2 * filter) {
        uint32_t sums[4];
        sums[2] = sums[0] = (uint32_t)bias[f];
        sums[3] = sums[1] = (uint32_t)bias[f + 1];
        for (i = first; i < last; i++) {
            const int32_t moves = u->moves[i];
            dot22(sums, taps + i * line, filter, u->rows[i] + (at & moves), next & moves, line);
        }
        requantize_pair(out + f, behind + f, sums[0], sums[2], multipliers[f], shifts[f], grid);
        requantize_pair(out + f + 1, behind + f + 1, sums[1], sums[3], multipliers[f + 1], shifts[f + 1], grid);
    }
    if (f < filters) {
        conv_pixel(k, u, at, f, out);
        conv_pixel(k, u, at + next, f, behind);
    }
}
#endif

/* A row of a convolution: each filter's taps of one kernel row lie together, as the input's values do. */
static void conv_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv_row_t *k = (const conv_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t depth = k->depth, stride = k->stride_x, line = k->taps_x * depth;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->filters);
    const int32_t top = first_tap(y, k->dilation_y), bottom = stop_tap(y, k->dilation_y, k->in_height, k->taps_y);
    int32_t x, i, at = -k->pad_x;
    under_t u;
    u.first = k->outside != NULL ? 0 : top;
    u.last = k->outside != NULL ? k->taps_y : bottom;
    for (i = u.first; i < u.last; i++) {
        u.moves[i] = -(i >= top && i < bottom);
        u.rows[i] = u.moves[i] ? row_at(work, place, base + y + i * k->dilation_y, k->in_width * depth) : k->outside;
    }
    for (x = 0; x < k->out_width; x++, at += stride, out += k->filters) {
        u.left = first_tap(at, 1) * depth;
        u.right = stop_tap(at, 1, k->in_width, k->taps_x) * depth;
        if (u.right < u.left) u.right = u.left;
        u.part = k->outside != NULL && u.left > 0 ? 0 : 1;
        u.parts = k->outside != NULL && u.right < line ? 3 : 2;
#ifdef WITH_MVE
        if (u.part == 1 && u.parts == 2 && u.right - u.left == line) {
            conv_inside(k, &u, at * depth, out);
            continue;
        }
#else
        if (at >= 0 && x + 1 < k->out_width && at + stride + k->taps_x <= k->in_width) {
            conv_pair(k, &u, at * depth, out);
            x++, at += stride, out += k->filters;
            continue;
        }
#endif
        conv_pixel(k, &u, at * depth, 0, out);
    }
}

/*@ conv_taps_row: row_at requantized dot total */
/* The same tap by tap: for dilated columns and for groups of channels. */
static void conv_taps_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv_taps_row_t *k = (const conv_taps_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->filters);
    int32_t x, f, i, j;
    for (x = 0; x < k->out_width; x++) {
        for (f = 0; f < k->filters; f++) {
            const int8_t *taps = k->weights + f * k->taps_y * k->taps_x * k->depth;
            const int32_t from = f / k->group_filters * k->depth;
            uint32_t sum = (uint32_t)k->bias[f];
            for (i = 0; i < k->taps_y; i++) {
                const int32_t in_y = y + i * k->dilation_y;
                for (j = 0; j < k->taps_x; j++, taps += k->depth) {
                    const int32_t in_x = x * k->stride_x - k->pad_x + j * k->dilation_x;
                    if (in_y < 0 || in_y >= k->in_height || in_x < 0 || in_x >= k->in_width)
                        sum += total(taps, k->depth) * (uint32_t)k->in_zero;
                    else
                        sum = dot(sum, taps,
                                  row_at(work, place, base + in_y, k->in_width * k->in_depth) + in_x * k->in_depth + from,
                                  k->depth);
                }
            }
            *out++ = requantized(sum, k->multipliers[f], k->shifts[f], grid);
        }
    }
}
