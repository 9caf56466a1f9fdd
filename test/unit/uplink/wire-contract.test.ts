import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import test from 'ava';
import { load } from 'js-yaml';
import { dataSchemaOfType, type EventType, laneOfType } from '../../../src/model/event.ts';
import { gatewayId, tenantId } from '../../../src/model/ids.ts';
import { envelope } from '../../../src/outbox/envelope.ts';
import { ReadingsBatch } from '../../../src/record/readings-batch.ts';
import { belongsTo } from '../../../src/uplink/envelope-check.ts';
import { willPayload } from '../../../src/uplink/state.ts';
import { readEvent } from '../../../tools/receiver/envelope.ts';

const folder = 'config/schema/events';
const types = Object.keys(dataSchemaOfType) as readonly EventType[];
const nameOf = (type: EventType) => type.split('.')[1] ?? '';
const schemaOf = (name: string) =>
  JSON.parse(readFileSync(path.join(folder, `${name}.schema.json`), 'utf8')) as { $id: string };

const ajv = new Ajv({ strictTuples: false, allowUnionTypes: true, formats: { 'date-time': true } });
const validators = new Map(
  globSync(`${folder}/*.schema.json`).map((file) => {
    const name = path.basename(file, '.schema.json');
    return [name, ajv.compile(schemaOf(name))] as const;
  }),
);

function complaint(name: string, value: unknown): string {
  const validate = validators.get(name);
  if (validate === undefined) return `${name} has no schema`;
  return validate(value) ? '' : ajv.errorsText(validate.errors);
}

const golden = (type: EventType) =>
  readFileSync(`test/golden/${nameOf(type)}.v1.0.json`, 'utf8').trimEnd();

for (const type of types) {
  test(`the golden ${type} fits its schemas, is what the outbox writes, and is understood`, (t) => {
    const text = golden(type);
    const event = JSON.parse(text);
    t.is(complaint('envelope', event), '');
    t.is(complaint(nameOf(type), event.data), '');
    t.is(event.type, type);
    t.is(event.dataschema, dataSchemaOfType[type]);
    t.is(schemaOf(nameOf(type)).$id, dataSchemaOfType[type]);
    const [epoch, sequence] = event.id.split('.');
    t.is(
      envelope({
        epoch,
        sequence: Number(sequence),
        source: event.source,
        type,
        time: Date.parse(event.time),
        tenant: event.tenantid,
        correlationId: event.correlationid,
        traceparent: event.traceparent,
        bootId: event.bootid,
        synced: event.clocksynced,
        data: JSON.stringify(event.data),
      }),
      text,
    );
    const lane = event.source.split('/').at(-1);
    if (type !== 'riser.readings.v1' && type !== 'riser.gap.v1') t.is(lane, laneOfType[type]);
    const placed = readEvent(`riser/1/acme/gw-7f3a/${lane}`, text);
    t.is(placed.last - placed.first + 1, event.data.n ?? 1);
    const [gateway, acme] = [gatewayId('gw-7f3a'), tenantId('acme')];
    t.true(belongsTo(Buffer.from(text), gateway, acme, lane));
    t.false(belongsTo(Buffer.from(text), gateway, tenantId('acm'), lane));
    t.false(belongsTo(Buffer.from(text), gatewayId('gw-7f3'), acme, lane));
  });
}

test('a body that names another tenant before its data does not belong, whatever the data says', (t) => {
  const [gateway, acme] = [gatewayId('gw-7f3a'), tenantId('acme')];
  const text = golden('riser.device.v1')
    .replace('"tenantid":"acme"', '"tenantid":"other"')
    .replace('"type":"restarted"', '"tenantid":"acme"');
  t.true(text.includes('"tenantid":"acme"'));
  t.false(belongsTo(Buffer.from(text), gateway, acme, 'alarm'));
  t.false(belongsTo(Buffer.from('{}'), gateway, acme, 'alarm'));
  t.false(belongsTo(Buffer.alloc(0), gateway, acme, 'alarm'));
});

test('a wrong event does not fit the schemas', (t) => {
  const event = JSON.parse(golden('riser.readings.v1'));
  t.not(complaint('envelope', { ...event, tenantid: 'Acme' }), '');
  t.not(complaint('envelope', { ...event, source: '//gw/acme/fast' }), '');
  t.not(complaint('readings', { ...event.data, r: [[0, 0, null]] }), '');
  t.not(complaint('readings', { ...event.data, r: [[0, 0, 1, 'timeout', 2]] }), '');
  t.not(complaint('gap', { n: 0, first: '1', last: '1', reason: 'quota', text: '' }), '');
  t.not(complaint('ack', { epoch: 'e', seq: -1 }), '');
});

test('what the record encodes fits the schema of readings', (t) => {
  const batch = new ReadingsBatch();
  batch.add({
    point: 'ahu-03/temp' as never,
    device: 'ahu-03' as never,
    tenant: 'acme' as never,
    lane: 'live',
    time: 1_795_167_660_120,
    value: null,
    quality: 'bad',
    reason: 'timeout',
  });
  t.is(complaint('readings', JSON.parse(batch.encode().data)), '');
  t.is(complaint('state', JSON.parse(willPayload)), '');
});

test('asyncapi.yaml refers to schemas that exist and knows every type of event and every topic', (t) => {
  const file = 'docs/reference/asyncapi.yaml';
  const text = readFileSync(file, 'utf8');
  const api = load(text) as {
    asyncapi: string;
    channels: Record<string, { address: string; messages: Record<string, object> }>;
    components: { messages: Record<string, { name: string }> };
  };
  t.is(api.asyncapi, '3.0.0');
  const names = Object.values(api.components.messages).map(({ name }) => name);
  for (const type of types) t.true(names.includes(type), type);
  t.deepEqual(Object.keys(api.channels.events?.messages ?? {}).sort(), types.map(nameOf).sort());
  for (const [, reference] of text.matchAll(/\$ref: '([^']+)'/g)) {
    if (reference?.startsWith('#/') === true) {
      const target = reference
        .slice(2)
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], api);
      t.not(target, undefined, reference);
    } else {
      t.notThrows(() => readFileSync(path.join(path.dirname(file), reference ?? '')), reference);
    }
  }
  t.deepEqual(
    Object.values(api.channels).map(({ address }) =>
      address.replace('riser/1/{tenant}/{gateway}', ''),
    ),
    [
      '/{lane}',
      '/{lane}/ack',
      '/{lane}/nack',
      '/state',
      '/last/{device}',
      '/cmd/{name}',
      '/result/{id}',
    ],
  );
});
