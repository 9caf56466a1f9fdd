import { exceptions, type UnitMemory } from '../models/unit.ts';
import { emptyAnswer, exceptionAnswer, type Frame, headerBytes } from './frame.ts';

const meiType = 14;
/** Basic identification, as a stream and object by object. */
const conformity = 0x81;

/** Answers "read device identification" (43/14) with the three basic objects. */
export function identification(unit: UnitMemory, frame: Frame): Buffer {
  const { pdu } = frame;
  if (pdu[1] !== meiType) return exceptionAnswer(frame, exceptions.illegalFunction);
  const code = pdu.length === 4 ? (pdu[2] ?? 0) : 0;
  if (code < 1 || code > 4) return exceptionAnswer(frame, exceptions.illegalValue);
  const objects = ['Riser', unit.productCode, '1.0'].map((text, id) => ({ id, text }));
  const first = pdu[3] ?? 0;
  if (code === 4 && first >= objects.length) {
    return exceptionAnswer(frame, exceptions.illegalAddress);
  }
  // An unknown first object means "from the beginning" in a stream (application protocol, §6.21).
  const wanted =
    code === 4
      ? objects.filter(({ id }) => id === first)
      : objects.filter(({ id }) => first >= objects.length || id >= first);
  const body = Buffer.concat(
    wanted.map(({ id, text }) => Buffer.from([id, text.length, ...Buffer.from(text, 'latin1')])),
  );
  const adu = emptyAnswer(frame, 7 + body.length);
  adu.set([43, meiType, code, conformity, 0, 0, wanted.length], headerBytes);
  body.copy(adu, headerBytes + 7);
  return adu;
}
