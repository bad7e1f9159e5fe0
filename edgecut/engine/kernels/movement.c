/*@ pad_row: row_at */
/* A row with `fill` around it; rows before and behind the input's are `fill` alone. */
static void pad_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const pad_row_t *k = (const pad_row_t *)layer;
    const int32_t batch = row / k->out_height - k->before[0], y = row % k->out_height - k->before[1];
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->out_depth);
    memset(out, (int)k->fill, (size_t)(k->out_width * k->out_depth));
    if (batch >= 0 && batch < k->batches && y >= 0 && y < k->height) {
        const int8_t *in = row_at(work, place, batch * k->height + y, k->width * k->depth);
        int32_t x;
        out += k->before[2] * k->out_depth + k->before[3];
        for (x = 0; x < k->width; x++, in += k->depth, out += k->out_depth) memcpy(out, in, (size_t)k->depth);
    }
}

/*@ concatenation_row: row_at */
/* A row of several tensors, side by side or one behind the other. A part is its first row, its rows, its bytes in a
   group of the output, and where they begin there. */
static void concatenation_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const concatenation_row_t *k = (const concatenation_row_t *)layer;
    int8_t *out = row_at(work, &place[k->count], row, k->groups * k->group_bytes);
    int32_t i, g;
    for (i = 0; i < k->count; i++) {
        const int32_t *part = k->parts + 4 * i, y = row % k->height - part[0];
        if (y >= 0 && y < part[1]) {
            const int8_t *in = row_at(work, &place[i], row / k->height * part[1] + y, k->groups * part[2]);
            for (g = 0; g < k->groups; g++)
                memcpy(out + g * k->group_bytes + part[3], in + g * part[2], (size_t)part[2]);
        }
    }
}

/*@ slice_row: row_at */
/* A part of a tensor: from `first` on by `step` for batches, rows, columns and channels. */
static void slice_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const slice_row_t *k = (const slice_row_t *)layer;
    const int32_t batch = k->first[0] + row / k->height * k->step[0], y = k->first[1] + row % k->height * k->step[1];
    const int8_t *in = row_at(work, place, batch * k->in_height + y, k->in_width * k->in_depth);
    int8_t *out = row_at(work, &place[1], row, k->width * k->depth);
    int32_t x, c;
    for (x = 0; x < k->width; x++) {
        const int8_t *from = in + (k->first[2] + x * k->step[2]) * k->in_depth + k->first[3];
        for (c = 0; c < k->depth; c++) *out++ = from[c * k->step[3]];
    }
}

/*@ transpose_row: row_at */
/* A row of the output, gathered from all of the input by steps for batches, rows, columns and channels. */
static void transpose_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const transpose_row_t *k = (const transpose_row_t *)layer;
    const int8_t *in = row_at(work, place, 0, 0) + row / k->height * k->step[0] + row % k->height * k->step[1];
    int8_t *out = row_at(work, &place[1], row, k->width * k->depth);
    int32_t x, c;
    for (x = 0; x < k->width; x++)
        for (c = 0; c < k->depth; c++) *out++ = in[x * k->step[2] + c * k->step[3]];
}
