import type { LatestValue } from '../model/field.ts';

/** The latest value of every point of a device, page by page. */
export async function allValues(
  client: { get<Body>(path: string): Promise<Body> },
  device: string,
): Promise<readonly LatestValue[]> {
  const values: LatestValue[] = [];
  let after: string | undefined;
  do {
    const query = new URLSearchParams({ device, ...(after === undefined ? {} : { after }) });
    const page: { values: readonly LatestValue[]; next?: string } = await client.get(
      `/values?${query}`,
    );
    values.push(...page.values);
    after = page.values.length > 0 ? page.next : undefined;
  } while (after !== undefined);
  return values;
}
