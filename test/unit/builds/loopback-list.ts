/** The archive of a mailing list on loopback, as public-inbox serves it: for a message its thread, as a mailbox. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

export interface ListMessage {
  /** Without its host. */
  readonly id: string;
  /** That it replies to; empty if it begins the thread. */
  readonly to: string;
  readonly subject: string;
  readonly body: string;
  /** Sent as quoted-printable, as many mail programs do. */
  readonly quoted?: boolean;
}

export class LoopbackList {
  /** All mail of the list is of one thread. */
  thread: readonly ListMessage[] = [];
  /** If set, nobody is answered: it is told of who asks, and then of who has gone away. */
  silence: { readonly asked: () => void; readonly gone: () => void } | undefined;
  /** What was asked of the patchwork of this list, where a maintainer's b4 sets what has become of patches. */
  readonly patchwork: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const { thread, silence } = this;
      if (silence) {
        request.socket.once('close', silence.gone);
        silence.asked();
        return;
      }
      const asked = decodeURIComponent(request.url ?? '');
      if (asked.startsWith('/all/patchwork')) this.patchwork.push(asked);
      const id = /^\/all\/(.+)@list\.example\/t\.mbox\.gz$/.exec(asked)?.[1];
      const known = thread.some((message) => message.id === id);
      response.writeHead(known ? 200 : 404);
      response.end(known ? gzipSync(thread.map(mailText).join('\n')) : '');
    });
  }

  static async start(): Promise<LoopbackList> {
    const list = new LoopbackList();
    await new Promise<void>((resolve) => void list.#server.listen(0, '127.0.0.1', resolve));
    return list;
  }

  /** Before the id of a message. */
  get address(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}/all`;
  }

  /** A maintainer's, for git. Later versions of b4 than 0.12 also search for trailers, of which there are none. */
  get configuration(): string {
    const archive = { midmask: `${this.address}/%s`, searchmask: `${this.address}/?q=%s` };
    const patchwork = { 'pw-url': `${this.address}/patchwork`, 'pw-project': 'list', 'pw-key': 'secret' };
    const options = { ...archive, ...patchwork, 'pw-review-state': 'under-review' };
    return `[b4]\n${Object.entries(options)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function mailText({ id, to, subject, body, quoted = false }: ListMessage): string {
  return [
    'From mboxrd@z Thu Jan  1 00:00:00 1970',
    'From: A Developer <developer@list.example>',
    'To: list@list.example',
    'Date: Sun, 29 Nov 2026 12:00:00 +0000',
    `Message-ID: <${id}@list.example>`,
    ...(to === '' ? [] : [`In-Reply-To: <${to}@list.example>`, `References: <${to}@list.example>`]),
    `Subject: ${subject}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=UTF-8',
    `Content-Transfer-Encoding: ${quoted ? 'quoted-printable' : '8bit'}`,
    '',
    quoted ? quotedPrintable(body) : body,
    '',
  ].join('\n');
}

export function quotedPrintable(text: string): string {
  const bytes = [...Buffer.from(text)];
  return bytes
    .map((byte) => (byte === 0x3d || byte > 0x7e ? `=${byte.toString(16).toUpperCase()}` : String.fromCharCode(byte)))
    .join('');
}
