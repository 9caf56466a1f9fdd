/*
 * Reads 125 holding registers of unit 1 with libmodbus as fast as one answer after the other
 * allows: modbus-client <port> <seconds>. Prints requests a second.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  uint16_t words[125];
  unsigned long long count = 0;
  if (argc != 3) return 2;
  modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
  if (context == NULL || modbus_set_slave(context, 1) != 0) return 1;
  if (modbus_connect(context) != 0) return 1;
  const double begun = now();
  const double end = begun + atof(argv[2]);
  while (now() < end) {
    if (modbus_read_registers(context, 0, 125, words) != 125) {
      fprintf(stderr, "read failed: %s\n", modbus_strerror(errno));
      return 1;
    }
    count++;
  }
  printf("%.1f\n", count / (now() - begun));
  modbus_close(context);
  modbus_free(context);
  return 0;
}
