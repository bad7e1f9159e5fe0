/*@ sides: row_at */
/* A row of two tensors or tables, either of which may be spread over the other's axes, and of what is made of them. next:
   bytes to the next value of one column, column: to that of the next column; 0 where one is spread. */
typedef struct {
    const int8_t *a, *b;
    int8_t *out;
    int32_t a_next, a_column, b_next, b_column, columns, values;
} sides_t;

/* steps: values a column, columns, rows; places of b and of the output; of a and of b rows a batch, rows a row, bytes a
   row, bytes a column, bytes a value. */
static sides_t sides(const int8_t *a, const int8_t *b, const int32_t *steps, int8_t *work, const place_t *place,
                     int32_t row) {
    const int32_t *a_steps = steps + 5, *b_steps = steps + 10, batch = row / steps[2], y = row % steps[2];
    const int32_t a_row = batch * a_steps[0] + y * a_steps[1], b_row = batch * b_steps[0] + y * b_steps[1];
    sides_t s;
    s.a = a != NULL ? a + a_row * a_steps[2] : row_at(work, place, a_row, a_steps[2]);
    s.b = b != NULL ? b + b_row * b_steps[2] : row_at(work, &place[steps[3]], b_row, b_steps[2]);
    s.out = row_at(work, &place[steps[4]], row, steps[1] * steps[0]);
    s.a_column = a_steps[3], s.b_column = b_steps[3];
    s.a_next = a_steps[4], s.b_next = b_steps[4];
    s.values = steps[0], s.columns = steps[1];
    return s;
}

static inline void next_column(sides_t *s) {
    s->a += s->a_column;
    s->b += s->b_column;
    s->out += s->values;
    s->columns--;
}

/*@ add_row: sides requantized lanes */
#ifdef WITH_MVE
/* Four sums at a time of values that lie together; gives how many are done. */
static int32_t add_by_4(const add_row_t *k, const sides_t *s) {
    const int32x4_t multiplier = vdupq_n_s32(k->multiplier), shift = vdupq_n_s32(k->shift);
    const int32x4_t a_multiplier = vdupq_n_s32(k->a_multiplier), a_shift = vdupq_n_s32(k->a_shift);
    const int32x4_t b_multiplier = vdupq_n_s32(k->b_multiplier), b_shift = vdupq_n_s32(k->b_shift);
    int32_t c;
    if (s->a_next != 1 || s->b_next != 1 || !k->small) return 0;
    for (c = 0; c + 3 < s->values; c += 4) {
        int32x4_t p = vshlq_n_s32(vsubq_n_s32(vldrbq_s32(s->a + c), k->a_zero), 20);
        int32x4_t q = vshlq_n_s32(vsubq_n_s32(vldrbq_s32(s->b + c), k->b_zero), 20);
        p = scaled_lanes(p, a_multiplier, a_shift, 0);
        q = vmulq_n_s32(scaled_lanes(q, b_multiplier, b_shift, 0), k->sign);
        p = vmaxq_s32(scaled_lanes(vaddq_s32(p, q), multiplier, shift, k->out_zero), vdupq_n_s32(k->low));
        vstrbq_s32(s->out + c, vminq_s32(p, vdupq_n_s32(k->high)));
    }
    return c;
}
#endif

static void add_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const add_row_t *k = (const add_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t a_zero = k->a_zero, a_multiplier = k->a_multiplier, a_shift = k->a_shift, multiplier = k->multiplier;
    const int32_t b_zero = k->b_zero, b_multiplier = k->b_multiplier, b_shift = k->b_shift, shift = k->shift, sign = k->sign;
    sides_t s = sides(k->a, k->b, k->steps, work, place, row);
    for (; s.columns > 0; next_column(&s)) {
        const int32_t values = s.values, a_next = s.a_next, b_next = s.b_next;
        const int8_t *a = s.a, *b = s.b;
        int32_t c = 0;
#ifdef WITH_MVE
        c = add_by_4(k, &s);
#endif
        for (a += c * a_next, b += c * b_next; c < values; c++, a += a_next, b += b_next) {
            const int32_t p = (fraction((uint32_t)(*a - a_zero) << 20, a_multiplier, a_shift) + 1) >> 1;
            const int32_t q = (fraction((uint32_t)(*b - b_zero) << 20, b_multiplier, b_shift) + 1) >> 1;
            s.out[c] = requantized((uint32_t)(p + sign * q), multiplier, shift, grid);
        }
    }
}

/*@ mul_row: sides requantized lanes */
#ifdef WITH_MVE
static int32_t mul_by_4(const mul_row_t *k, const sides_t *s) {
    const int32x4_t multiplier = vdupq_n_s32(k->multiplier), shift = vdupq_n_s32(k->shift);
    int32_t c;
    if (s->a_next != 1 || s->b_next != 1 || !k->small) return 0;
    for (c = 0; c + 3 < s->values; c += 4) {
        const int32x4_t p = vsubq_n_s32(vldrbq_s32(s->a + c), k->a_zero);
        const int32x4_t q = vmulq_s32(p, vsubq_n_s32(vldrbq_s32(s->b + c), k->b_zero));
        const int32x4_t y = vmaxq_s32(scaled_lanes(q, multiplier, shift, k->out_zero), vdupq_n_s32(k->low));
        vstrbq_s32(s->out + c, vminq_s32(y, vdupq_n_s32(k->high)));
    }
    return c;
}
#endif

static void mul_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const mul_row_t *k = (const mul_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t a_zero = k->a_zero, b_zero = k->b_zero, multiplier = k->multiplier, shift = k->shift;
    sides_t s = sides(k->a, k->b, k->steps, work, place, row);
    for (; s.columns > 0; next_column(&s)) {
        const int32_t values = s.values, a_next = s.a_next, b_next = s.b_next;
        const int8_t *a = s.a, *b = s.b;
        int32_t c = 0;
#ifdef WITH_MVE
        c = mul_by_4(k, &s);
#endif
        for (a += c * a_next, b += c * b_next; c < values; c++, a += a_next, b += b_next)
            s.out[c] = requantized((uint32_t)((*a - a_zero) * (*b - b_zero)), multiplier, shift, grid);
    }
}

/*@ larger_row: sides limited */
static void larger_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const larger_row_t *k = (const larger_row_t *)layer;
    const int32_t sign = k->sign, low = k->low, high = k->high;
    sides_t s = sides(k->a, k->b, k->steps, work, place, row);
    int32_t c;
    for (; s.columns > 0; next_column(&s)) {
        for (c = 0; c < s.values; c++) {
            const int32_t p = s.a[c * s.a_next], q = s.b[c * s.b_next];
            s.out[c] = limited((p - q) * sign > 0 ? p : q, low, high);
        }
    }
}

/*@ prelu_row: sides requantized */
static void prelu_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const prelu_row_t *k = (const prelu_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t a_zero = k->a_zero, b_zero = k->b_zero, above = k->above_multiplier, above_shift = k->above_shift;
    const int32_t below = k->multiplier, below_shift = k->shift;
    sides_t s = sides(k->a, k->b, k->steps, work, place, row);
    int32_t c;
    for (; s.columns > 0; next_column(&s)) {
        for (c = 0; c < s.values; c++) {
            const int32_t p = s.a[c * s.a_next] - a_zero, q = s.b[c * s.b_next] - b_zero;
            s.out[c] = p >= 0 ? requantized((uint32_t)p, above, above_shift, grid)
                              : requantized((uint32_t)(p * q), below, below_shift, grid);
        }
    }
}
