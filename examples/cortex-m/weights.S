/* A file of weights in the program, between two symbols. */
    .section .weights, "a"
    .global weights_begin, weights_end
    .balign 64
weights_begin:
    .incbin WEIGHTS
weights_end:
