/** Scripts whose characters take two columns of a terminal, and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u;
const combining = /\p{Mark}/u;

function widthOf(character: string): number {
  if (combining.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}

/** Columns that a text takes on a terminal. */
export function columns(text: string): number {
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/** Fills a text up with spaces, on the right or on the left. */
export function pad(text: string, width: number, side: 'left' | 'right' = 'right'): string {
  const fill = ' '.repeat(Math.max(0, width - columns(text)));
  return side === 'right' ? text + fill : fill + text;
}

/** Cuts a text that is wider than `width` columns. */
export function cut(text: string, width: number): string {
  if (columns(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += widthOf(character);
    if (used > width - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Takes as many characters as fit into a number of columns. */
function splitAt(text: string, width: number): [head: string, tail: string] {
  let head = '';
  let used = 0;
  for (const character of text) {
    used += widthOf(character);
    if (used > width) break;
    head += character;
  }
  return [head, text.slice(head.length)];
}

/** Words of a text on lines of at most `width` columns; a word that is too long is broken. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const part of text.split(' ')) {
    let word = part;
    while (columns(word) > width) {
      if (line !== '') lines.push(line);
      const [head, tail] = splitAt(word, width);
      lines.push(head);
      line = '';
      word = tail;
    }
    if (word === '') continue;
    if (line === '') line = word;
    else if (columns(line) + 1 + columns(word) <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** Items after a label, three spaces between them, continued below the first item. */
export function block(label: string, items: readonly string[], width: number): readonly string[] {
  const indent = 13;
  const room = width - indent;
  const lines: string[] = [];
  for (const item of items) {
    const last = lines.at(-1);
    if (last !== undefined && columns(last) + 3 + columns(item) <= room) {
      lines[lines.length - 1] = `${last}   ${item}`;
    } else {
      lines.push(...wrap(item, room));
    }
  }
  return lines.map((line, index) => pad(index === 0 ? label : '', indent) + line);
}

/** A text with a mark before its first line and its other lines below the text. */
export function hanging(mark: string, text: string, width: number): readonly string[] {
  const indent = columns(mark);
  return wrap(text, width - indent).map(
    (line, index) => (index === 0 ? mark : ' '.repeat(indent)) + line,
  );
}
