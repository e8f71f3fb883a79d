#include "engine/node_time.h"

// Adds the nodes that stand before those of `graph`; false, and all, where it is not there.
static bool count_before(const rml_graph *at, const rml_graph *graph, size_t *count)
{
    if (at == graph)
        return true;
    *count += at->node_count;
    for (const rml_graph *inside = at->inside; inside; inside = inside->next)
        if (count_before(inside, graph, count))
            return true;
    return false;
}

size_t rml_node_times_count(const rml_graph *graph)
{
    size_t count = 0;
    count_before(graph, NULL, &count);
    return count;
}

rml_node_time *rml_node_times_of(rml_node_time *times, const rml_graph *root,
                                 const rml_graph *graph)
{
    size_t before = 0;
    return times && count_before(root, graph, &before) ? times + before : NULL;
}
