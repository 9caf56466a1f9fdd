/** Each 16-bit register of an answer that a fault poisoned; outside every band in every type. */
export const poisonWord = 0xdead;
