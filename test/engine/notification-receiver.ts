import { mkdtempSync, rmSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { Child } from '../child.js'

export interface Datagram {
  /** Of the sender, as the kernel tells. */
  readonly pid: number
  readonly uid: number
  /** Whether the sender had not ended when it was read. */
  readonly isThere: boolean
  readonly lines: readonly string[]
}

/** A real datagram socket in the place of systemd's. */
export class NotificationReceiver {
  readonly socket: string
  readonly folder: string
  readonly #child: Child

  private constructor (folder: string, child: Child) {
    this.folder = folder
    this.socket = join(folder, 'notify')
    this.#child = child
  }

  static async listen (t: Test): Promise<NotificationReceiver> {
    const folder = mkdtempSync(join(tmpdir(), 'fastkeep-notify-'))
    chmodSync(folder, 0o755)
    const child = new Child(t, 'python3', [fileURLToPath(new URL('fixtures/datagrams.py', import.meta.url)), join(folder, 'notify')])
    t.teardown(() => rmSync(folder, { recursive: true }))
    await child.match(/bound\n/)
    return new NotificationReceiver(folder, child)
  }

  get pid (): number {
    return this.#child.pid
  }

  /** All that has come until now, without the markers of `systemd-notify`. */
  get all (): Datagram[] {
    const lines = this.#child.output.split('\n').filter(line => line.startsWith('{'))
    return lines.map(line => JSON.parse(line) as Datagram).filter(({ lines }) => lines[0] !== 'BARRIER=1')
  }

  /** The first datagram, come or to come, that has a line which begins so. */
  async get (line: string, pid?: number): Promise<Datagram> {
    const who = pid === undefined ? '\\d+' : String(pid)
    const [text] = await this.#child.match(new RegExp(`\\{"pid": ${who}, .*"${line}.*\\n`))
    return JSON.parse(text) as Datagram
  }
}
