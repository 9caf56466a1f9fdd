/*
 * A Modbus TCP server of libmodbus on a free port of 127.0.0.1.
 *
 * Reads lines from standard input up to "serve":
 *   word  holding 12 4660          one register
 *   float holding 20 CDAB 230.2    encoded by libmodbus, CDAB or ABCD
 *   int32 input   30 -70000        encoded by libmodbus, high register first
 *   int64 input   40 -70000
 *   bit   coil    3 1
 * then prints its port and serves until standard input ends. 600 addresses of each table exist.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#define SIZE 600
#define MOST 16

static modbus_mapping_t *map;

static uint16_t *registers(const char *table, int address) {
  if (address < 0 || address + 4 > SIZE) exit(2);
  return (strcmp(table, "input") == 0 ? map->tab_input_registers : map->tab_registers) + address;
}

static void put(const char *line) {
  char kind[16], table[16], order[8];
  int address;
  int64_t whole;
  float number;
  if (sscanf(line, "float %15s %d %7s %f", table, &address, order, &number) == 4) {
    uint16_t *to = registers(table, address);
    /* modbus_set_float_abcd of 3.1.6 swaps the bytes of each register on little-endian machines:
       the two ways that put them as they are named are the plain one (low register first) and the
       one through an integer. */
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    if (strcmp(order, "CDAB") == 0) modbus_set_float(number, to);
    else MODBUS_SET_INT32_TO_INT16(to, 0, bits);
    return;
  }
  if (sscanf(line, "%15s %15s %d %" SCNd64, kind, table, &address, &whole) != 4) exit(3);
  if (strcmp(kind, "bit") == 0) {
    if (address < 0 || address >= SIZE) exit(2);
    (strcmp(table, "coil") == 0 ? map->tab_bits : map->tab_input_bits)[address] = whole != 0;
    return;
  }
  uint16_t *to = registers(table, address);
  if (strcmp(kind, "int64") == 0) {
    MODBUS_SET_INT64_TO_INT16(to, 0, whole);
  } else if (strcmp(kind, "int32") == 0) {
    MODBUS_SET_INT32_TO_INT16(to, 0, whole);
  } else {
    to[0] = (uint16_t)whole;
  }
}

int main(void) {
  char line[256];
  uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
  int clients[MOST];
  int count = 0;
  map = modbus_mapping_new(SIZE, SIZE, SIZE, SIZE);
  while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "serve", 5) != 0) put(line);
  modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
  int listener = modbus_tcp_listen(context, MOST);
  struct sockaddr_in bound;
  socklen_t length = sizeof bound;
  if (listener < 0 || getsockname(listener, (struct sockaddr *)&bound, &length) != 0) return 1;
  printf("%d\n", ntohs(bound.sin_port));
  fflush(stdout);
  for (;;) {
    fd_set ready;
    int highest = listener;
    FD_ZERO(&ready);
    FD_SET(STDIN_FILENO, &ready);
    FD_SET(listener, &ready);
    for (int i = 0; i < count; i++) {
      FD_SET(clients[i], &ready);
      if (clients[i] > highest) highest = clients[i];
    }
    if (select(highest + 1, &ready, NULL, NULL, NULL) < 0) return 1;
    if (FD_ISSET(STDIN_FILENO, &ready) && read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
    if (FD_ISSET(listener, &ready) && count < MOST) {
      int accepted = accept(listener, NULL, NULL);
      if (accepted >= 0) clients[count++] = accepted;
    }
    for (int i = count - 1; i >= 0; i--) {
      if (!FD_ISSET(clients[i], &ready)) continue;
      modbus_set_socket(context, clients[i]);
      int received = modbus_receive(context, query);
      if (received > 0) modbus_reply(context, query, received, map);
      if (received != -1) continue;
      close(clients[i]);
      clients[i] = clients[--count];
    }
  }
}
