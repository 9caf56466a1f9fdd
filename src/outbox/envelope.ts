import { dataSchemaOfType, type EventType, sequenceText } from '../model/event.ts';

/** Everything that an envelope is made of. */
export interface EnvelopeFacts {
  readonly epoch: string;
  readonly sequence: number;
  /** See streamSource(). */
  readonly source: string;
  readonly type: EventType;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly tenant: string;
  readonly correlationId: string;
  readonly traceparent?: string | undefined;
  readonly bootId: string;
  readonly synced: boolean;
  /** JSON text. */
  readonly data: string;
}

/**
 * The event as it travels: structured CloudEvents 1.0 in the member order of contract riser/1.
 * Joined, not stringified: `data` is JSON already, and this runs for every batch. Ids and epochs
 * need no escaping; what comes from outside is escaped.
 */
export function envelope(facts: EnvelopeFacts): string {
  const { epoch, sequence, source, type, tenant, traceparent, bootId, synced, data } = facts;
  return (
    `{"specversion":"1.0","id":"${epoch}.${sequence}","source":"${source}","type":"${type}"` +
    `,"time":"${new Date(facts.time).toISOString()}","datacontenttype":"application/json"` +
    `,"dataschema":"${dataSchemaOfType[type]}","tenantid":"${tenant}"` +
    `,"sequence":"${sequenceText(sequence)}","correlationid":${JSON.stringify(facts.correlationId)}` +
    (traceparent === undefined ? '' : `,"traceparent":${JSON.stringify(traceparent)}`) +
    `,"bootid":${JSON.stringify(bootId)},"clocksynced":${synced},"data":${data}}`
  );
}
