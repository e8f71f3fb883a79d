#include "runmodel.h"
#include <stdio.h>
int main(void)
{
    puts(rml_version());
    return 0;
}
