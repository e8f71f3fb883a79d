// Ctrl-C: the work ends at the next frame and cleans up. A second one ends the program at once.
#ifndef RML_TOOLS_MEDIA_INTERRUPT_H
#define RML_TOOLS_MEDIA_INTERRUPT_H

#include <stdbool.h>

void interrupt_watch(void); // SIGINT and SIGTERM
bool interrupt_asked(void);

#endif
