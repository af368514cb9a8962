/** What rig/sources.yaml says, as the code reads it. */
import { expect, test } from 'vitest';
import { loadPackageSources } from '../../../src/builds/debian/package-sources.ts';

test('the archive of the past comes last, at a date, and its lists may have expired', async () => {
  const { order } = await loadPackageSources();
  expect(order.map((entry) => entry['check-valid-until'])).toEqual([true, true, false]);
  expect(order.at(-1)?.archive).toMatch(/^https:\/\/snapshot\.[^/]+\/archive\/debian\/\d{8}T\d{6}Z$/);
});
