import { fileURLToPath } from 'node:url'
import { Program } from '../engine/program.js'

/** A server of `programs/server.js`, with a session begun. */
export interface Served {
  readonly port: number
  readonly pid: number
  /** The Cookie header of the session; empty without one. */
  readonly cookie: string
  end (): Promise<unknown>
}

/** For servers without sessions: as long as the sealed cookie, so that all read the same request. */
const NO_SESSION = `session=${'A'.repeat(235)}`

export async function serve (kind: string, place: string): Promise<Served> {
  const program = new Program([fileURLToPath(new URL('programs/server.js', import.meta.url)), kind, place])
  const port = Number((await program.next(/serving (\d+)/))[1])
  const isPlain = kind === 'bare' || kind === 'cookie'
  const lines = isPlain ? [] : (await fetch(`http://127.0.0.1:${port}/begin`)).headers.getSetCookie()
  const cookie = isPlain ? NO_SESSION : lines.map(line => line.split(';')[0]).join('; ')
  if (cookie === '') throw new Error(`${kind} began no session`)
  return { port, pid: program.pid, cookie, end: () => program.end() }
}
