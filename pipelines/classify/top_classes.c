#include "pipelines/classify/top_classes.h"

#include <math.h>
#include <stdbool.h>

void rml_softmax(float *values, int count)
{
    float largest = -INFINITY;
    bool finite = true;
    double sum = 0;
    for (int i = 0; i < count; i++) {
        finite = finite && isfinite(values[i]);
        largest = fmaxf(largest, values[i]);
    }
    for (int i = 0; i < count; i++)
        sum += exp((double)values[i] - (double)largest);
    for (int i = 0; i < count; i++)
        values[i] = finite ? (float)(exp((double)values[i] - (double)largest) / sum) : NAN;
}

static bool larger(float a, float b)
{
    return a > b || (isnan(b) && !isnan(a));
}

int rml_top_classes(const float *values, int count, rml_top_class *top, int most)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        int at = found < most ? found++ : most - 1;
        if (at == most - 1 && i >= most && !larger(values[i], top[at].probability))
            continue;
        for (; at > 0 && larger(values[i], top[at - 1].probability); at--)
            top[at] = top[at - 1];
        top[at] = (rml_top_class){i, values[i]};
    }
    return found;
}
