/** The client of QEMU's qtest protocol, over a stream in the place of QEMU. */
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { PciFunction, QtestClient } from '../../../src/device/qtest.ts';

test('a QEMU that ends during an access to configuration space is one failure, and its caller learns of it', async () => {
  const unheard: unknown[] = [];
  const listen = (reason: unknown): void => void unheard.push(reason);
  process.on('unhandledRejection', listen);
  try {
    const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    const qtest = new QtestClient(stream, { signal: new AbortController().signal, deadlineMs: 5000 });
    const pci = new PciFunction(qtest, 5);
    const accesses = [pci.read(0, 4), pci.write(0, 4, 0)].map((access) =>
      expect(access).rejects.toThrow('closed its qtest'),
    );
    stream.destroy();
    await Promise.all(accesses);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(unheard).toEqual([]);
  } finally {
    process.off('unhandledRejection', listen);
  }
});
