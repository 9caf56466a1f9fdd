import { holdsBits, type Table } from './address.ts';

/** Assumed time from a request to its answer on a building network, before data. */
export const roundTripMs = 10;
const perRegisterMs = 0.002;

/** Cost of one request over TCP in ms of the link's time. */
export function tcpRequestCost(interRequestMs: number): (table: Table, count: number) => number {
  return (table, count) =>
    roundTripMs + interRequestMs + perRegisterMs * (holdsBits(table) ? count / 16 : count);
}
