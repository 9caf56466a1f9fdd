/*
 * A Modbus RTU server of libmodbus on a serial port: libmodbus-rtu-server PATH UNIT LATE_MS
 *
 * 600 holding registers, each with its own address as value. A read of address 400 is answered
 * LATE_MS later than others. Prints "ready" and serves until it is ended.
 */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SIZE 600

int main(int count, char **words) {
  uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
  if (count != 4) return 2;
  modbus_t *context = modbus_new_rtu(words[1], 115200, 'N', 8, 1);
  modbus_mapping_t *map = modbus_mapping_new(SIZE, SIZE, SIZE, SIZE);
  if (context == NULL || map == NULL) return 1;
  for (int address = 0; address < SIZE; address++) map->tab_registers[address] = address;
  modbus_set_slave(context, atoi(words[2]));
  if (modbus_connect(context) != 0) return 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    int received = modbus_receive(context, query);
    if (received < 0) {
      if (access(words[1], F_OK) != 0) return 0;
      usleep(1000);
      continue;
    }
    if (received > 0 && (query[2] << 8 | query[3]) == 400) usleep(atoi(words[3]) * 1000);
    if (received > 0) modbus_reply(context, query, received, map);
  }
}
