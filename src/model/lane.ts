/** Priority class of a stream: alarms strictly first, live and bulk share what is left. */
export type Lane = 'alarm' | 'live' | 'bulk';

/** All lanes, the most urgent first. */
export const lanes: readonly Lane[] = ['alarm', 'live', 'bulk'];
