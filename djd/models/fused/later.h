/* Any block but its convolution, which is PyTorch's, and the head behind the last block. */

/* sums (knee, 2, channels): of the raw values, and of their squared distances from the knee's mean. */
static void pool_pass(const block *restrict block, long knee) {
    long size = block->size, half = size / 2, channels = block->channels;
    double *sums = block->sums + knee * 2 * channels, pixels = size * size;
    for (long row = 0; row < size; row++)
        for (long group = 0; group < channels; group += LANES) {
            reals total = {0};
            for (long column = 0; column < size; column++)
                total += load(block->raw + pixel_at(block, knee, row, column) + group);
            add_to(sums + group, total);
        }
    for (long row = 0; row < half; row++)
        for (long group = 0; group < channels; group += LANES) {
            reals mean = mean_of(sums + group, pixels), sign = signs_of(block->gamma + group);
            reals squares = {0};
            for (long column = 0; column < half; column++) {
                const REAL *corner = block->raw + pixel_at(block, knee, 2 * row, 2 * column) + group;
                reals best = {0}, here = {0}; /* a sum of its own, so that no window waits for another */
                wholes choice = {0};
                for (int place = 0; place < PLACES; place++) {
                    reals value = load(corner + (place / 2 * size + place % 2) * channels);
                    here += (value - mean) * (value - mean);
                    keep_larger(&best, &choice, value * sign, place);
                }
                squares += here;
                long at = window_at(block, knee, row, column) + group;
                store(block->pooled + at, best);
                store_choice(block->choice + at, choice);
            }
            add_to(sums + channels + group, squares);
        }
}

static void set_pooled_statistics(const block *block, long channel) {
    double mean = 0, variance = 0, values = values_of(block);
    const double *sums = block->sums + channel, pixels = block->size * block->size;
    for (long knee = 0; knee < block->knees; knee++)
        mean += sums[2 * knee * block->channels] / values;
    for (long knee = 0; knee < block->knees; knee++) {
        double apart = sums[2 * knee * block->channels] / pixels - mean;
        variance += (sums[(2 * knee + 1) * block->channels] + pixels * apart * apart) / values;
    }
    set_statistics(block, channel, mean, variance);
}

static void activate_pass(const block *restrict block, long knee) {
    long from = window_at(block, knee, 0, 0), to = window_at(block, knee + 1, 0, 0);
    for (long window = from; window < to; window += block->channels)
        for (long group = 0; group < block->channels; group += LANES) {
            long at = window + group;
            reals scale = load(block->scale + group), shift = load(block->shift + group);
            reals activation = relu(load(block->pooled + at) * scale + shift);
            store(block->activation + at, activation);
            store_choice(block->choice + at, unless_closed(activation, load_choice(block->choice + at)));
        }
}

/* sums (knee, 2, channels): of the gradient that passes the ReLU, and of it times what was pooled. */
static void sum_gradients_pass(const block *restrict block, long knee) {
    double *sums = block->sums + knee * 2 * block->channels;
    for (long row = 0; row < block->size / 2; row++)
        for (long group = 0; group < block->channels; group += LANES) {
            reals total = {0}, products = {0};
            for (long column = 0; column < block->size / 2; column++) {
                long at = window_at(block, knee, row, column) + group;
                wholes open = load_choice(block->choice + at) < CLOSED;
                reals gradient = only(open, load(block->gradient + at));
                total += gradient;
                products += gradient * load(block->pooled + at);
            }
            add_to(sums + group, total);
            add_to(sums + block->channels + group, products);
        }
}

static void set_gradients(const block *block, long channel) {
    double mean = block->statistics[channel], inverse = block->statistics[block->channels + channel];
    double scale = block->gamma[channel] * inverse, of_beta = block->sums[channel];
    double products = sign_of(block, channel) * block->sums[block->channels + channel];
    double of_gamma = (products - mean * of_beta) * inverse;
    double slope = -scale * inverse * of_gamma / values_of(block);
    block->scale[channel] = scale;
    block->slope[channel] = slope;
    block->shift[channel] = -scale * of_beta / values_of(block) - slope * mean;
    block->of_gamma[channel] = of_gamma;
    block->of_beta[channel] = of_beta;
}

/* of_raw = slope * raw + shift, and at the chosen places scale * gradient more. */
static void spread_gradients_pass(const block *restrict block, long knee) {
    long size = block->size, channels = block->channels;
    for (long row = 0; row < size / 2; row++)
        for (long column = 0; column < size / 2; column++)
            for (long group = 0; group < channels; group += LANES) {
                long at = window_at(block, knee, row, column) + group;
                long corner = pixel_at(block, knee, 2 * row, 2 * column) + group;
                reals slope = load(block->slope + group), shift = load(block->shift + group);
                reals gradient = load(block->gradient + at) * load(block->scale + group);
                wholes choice = load_choice(block->choice + at);
                for (int place = 0; place < PLACES; place++) {
                    long pixel = corner + (place / 2 * size + place % 2) * channels;
                    reals value = load(block->raw + pixel) * slope + shift;
                    store(block->of_raw + pixel, value + only(choice == place, gradient));
                }
            }
}

/* activation (knee, 2, channels): mean and largest of each channel of a map, which `raw` is. */
static void head_pass(const block *restrict block, long knee) {
    long size = block->size, channels = block->channels;
    REAL *to = block->activation + knee * 2 * channels;
    for (long group = 0; group < channels; group += LANES) {
        double sums[LANES] = {0};
        reals best = load(block->raw + pixel_at(block, knee, 0, 0) + group);
        wholes choice = {0}; /* that nobody asks for */
        for (long row = 0; row < size; row++) {
            reals total = {0};
            for (long column = 0; column < size; column++) {
                reals value = load(block->raw + pixel_at(block, knee, row, column) + group);
                total += value;
                keep_larger(&best, &choice, value, PLACES);
            }
            add_to(sums, total);
        }
        store(to + group, mean_of(sums, size * size));
        store(to + channels + group, best);
    }
}

/* Equal largest ones share the gradient, as in PyTorch. */
static void head_backward_pass(const block *restrict block, long knee) {
    long channels = block->channels, from = pixel_at(block, knee, 0, 0);
    long to = pixel_at(block, knee + 1, 0, 0);
    const REAL *largest = block->activation + (knee * 2 + 1) * channels;
    const REAL *gradient = block->gradient + knee * 2 * channels;
    for (long group = 0; group < channels; group += LANES) {
        reals best = load(largest + group), count = {0};
        for (long at = from + group; at < to; at += channels)
            count += only(load(block->raw + at) == best, count * 0 + 1);
        reals even = load(gradient + group) / (REAL)(block->size * block->size);
        reals share = load(gradient + channels + group) / count;
        for (long at = from + group; at < to; at += channels)
            store(block->of_raw + at, even + only(load(block->raw + at) == best, share));
    }
}
