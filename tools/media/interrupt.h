// Ctrl-C: the work ends at the next frame and cleans up. A second one ends the program at once.
#ifndef RML_TOOLS_MEDIA_INTERRUPT_H
#define RML_TOOLS_MEDIA_INTERRUPT_H

#include <stdbool.h>

// SIGINT, SIGTERM and SIGHUP. A reader of our messages that goes away (SIGPIPE) does not end the
// work.
void interrupt_watch(void);
bool interrupt_asked(void);

#endif
