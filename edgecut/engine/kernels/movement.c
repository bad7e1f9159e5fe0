/*@ pad_row: row_at */
/* A row with `fill` around it; rows before and behind the input's are `fill` alone. */
static void pad_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const pad_row_t *k = (const pad_row_t *)layer;
    const int32_t batch = row / k->out_height - k->before[0], y = row % k->out_height - k->before[1];
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->out_depth);
    int32_t x;
    memset(out, (int)k->fill, (size_t)(k->out_width * k->out_depth));
    if (batch >= 0 && batch < k->batches && y >= 0 && y < k->height) {
        const int8_t *in = row_at(work, place, batch * k->height + y, k->width * k->depth);
        out += k->before[2] * k->out_depth + k->before[3];
        for (x = 0; x < k->width; x++, in += k->depth, out += k->out_depth) memcpy(out, in, (size_t)k->depth);
    }
}
