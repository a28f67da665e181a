/* All of a block but later convolutions: one call a direction, of few passes over memory.

   Arrays lie with channels last; LANES channels at a time fill a vector register of the
   processor: a pass took up to twelve times as long with vectors of two registers. Each pass does
   one knee, and `spread` gives knees to the threads of PyTorch's own pool. What is summed is summed
   a knee, and knees are added up in their order: results don't depend on how many threads there
   are. A line of pixels is summed in REAL, lines and all that is of a channel are in double.

   Compiled once for float and once for double, whose gradients are checked numerically. */

#include "registers.h"
#include "block.h"
#include "first.h"
#include "later.h"

/* A copy of the block with the arrays of this call. */
#define OWN(given)                                                                          \
    block own = *given;                                                                     \
    REAL lines[3 * own.channels];                                                           \
    own.scale = lines, own.shift = lines + own.channels, own.slope = lines + 2 * own.channels

#define OWN_FIRST(given)                                                                    \
    OWN(given);                                                                             \
    REAL signed_weight[KERNEL * own.channels];                                              \
    own.signed_weight = signed_weight;                                                      \
    set_signed_weight(&own)

#define EACH_CHANNEL(set, block) \
    for (long channel = 0; channel < (block)->channels; channel++) set(block, channel)

void first_forward(const block *given) {
    OWN_FIRST(given);
    spread(moments_pass, &own);
    set_first_statistics(&own);
    spread(first_forward_pass, &own);
    ++*own.batches;
}

void first_score(const block *given) {
    OWN_FIRST(given);
    set_running_statistics(&own);
    spread(first_forward_pass, &own);
}

void first_backward(const block *given) {
    spread(first_backward_pass, given);
    total(given, (KERNEL + 1) * given->channels);
    EACH_CHANNEL(set_first_gradients, given);
}

void forward(const block *given) {
    OWN(given);
    spread(pool_pass, &own);
    EACH_CHANNEL(set_pooled_statistics, &own);
    spread(activate_pass, &own);
    ++*own.batches;
}

void score(const block *given) {
    OWN(given);
    spread(pool_pass, &own);
    set_running_statistics(&own);
    spread(activate_pass, &own);
}

void backward(const block *given) {
    OWN(given);
    spread(sum_gradients_pass, &own);
    total(&own, 2 * own.channels);
    EACH_CHANNEL(set_gradients, &own);
    spread(spread_gradients_pass, &own);
}

void head(const block *given) { spread(head_pass, given); }

void head_backward(const block *given) { spread(head_backward_pass, given); }

long lanes(void) { return LANES; }
