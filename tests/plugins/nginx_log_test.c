#include <sonde/testing.h>
#include "unit/tap.h"
int main(void){static const struct tap_test t[]={{0}};(void)t;return 0;}
