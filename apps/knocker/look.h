/* What a list of deliveries shows, here and beside an event. */
#ifndef LOOK_H
#define LOOK_H

#include "print.h"

#define DELIVERY_COLUMNS 8
extern const column delivery_columns[DELIVERY_COLUMNS];

#endif
