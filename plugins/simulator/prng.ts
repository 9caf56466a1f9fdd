/** Numbers in [0, 1) that are the same for the same seed, on every machine. */
export type Random = () => number;

/** A generator of its own for each fault, so that one fault does not shift the luck of another. */
export function seededRandom(seed: number): Random {
  // mulberry32 (Tommy Ettinger, public domain): 32 bits of state are plenty for choosing faults.
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A number in [0, 1) that depends on nothing but its arguments (32-bit integers). */
export function hashedUnit(seed: number, step: number): number {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(step + 0x7f4a7c15, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 0x1_0000_0000;
}
