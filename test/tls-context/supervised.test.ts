import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import https from 'node:https'
import tls, { type TLSSocket } from 'node:tls'
import { test, type Test } from 'tap'
import { runNode, type Child } from '../child.ts'
import { authority, files, leaf } from './pki.ts'

const root = await authority('CN=Lab root')
const ca = root.certPem
const [first, second] = [await leaf(root), await leaf(root)]

interface Seen {
  /** Of the worker that answered. */
  readonly pid: number
  readonly isResumed: boolean
  readonly serial: string | undefined
}

async function ask (port: number, options: tls.ConnectionOptions = {}): Promise<Seen> {
  const request = https.get({ host: '127.0.0.1', port, ca, servername: 'localhost', agent: false, ...options })
  const [response] = await once(request, 'response')
  const socket = response.socket as TLSSocket
  const [isResumed, serial] = [socket.isSessionReused(), socket.getPeerX509Certificate()?.serialNumber.toLowerCase()]
  return { pid: Number(Buffer.concat(await response.toArray()).toString()), isResumed, serial }
}

/** Asks until all workers that are wanted have answered, whichever the system lets answer. */
async function askAll (port: number, isEnough: (pids: ReadonlySet<number>) => boolean, options: tls.ConnectionOptions = {}): Promise<Seen[]> {
  const seen = new Map<number, Seen>()
  while (!isEnough(new Set(seen.keys()))) {
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await ask(port, options)))
    for (const answer of answers) seen.set(answer.pid, answer)
  }
  return [...seen.values()]
}

async function start (t: Test): Promise<{ supervisor: Child, port: number, paths: { cert: string, key: string } }> {
  t.testdir({})
  const paths = files(t, 'server', first)
  const supervisor = runNode(t, new URL('fixtures/supervisor-tls.js', import.meta.url), { CERT: paths.cert, KEY: paths.key })
  const [, port] = await supervisor.match(/address .*"port":(\d+)/) as unknown as [string, string]
  return { supervisor, port: Number(port), paths }
}

async function sessionFrom (port: number, version: tls.SecureVersion): Promise<Buffer> {
  const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ca, minVersion: version, maxVersion: version })
  const [session] = await once(socket, 'session') as [Buffer]
  socket.destroy()
  return session
}

test('workers of a supervisor resume each other\'s sessions, and one that comes later does, whoever of them has gone', async t => {
  const { port } = await start(t)
  const both = (await askAll(port, pids => pids.size === 2)).map(({ pid }) => pid)
  const sessions = await Promise.all((['TLSv1.2', 'TLSv1.3'] as const).map(async version => ({ session: await sessionFrom(port, version), maxVersion: version })))
  for (const options of sessions) {
    for (const { isResumed, pid } of await askAll(port, pids => pids.size === 2, options)) t.ok(isResumed, `${options.maxVersion}, worker ${pid}`)
  }
  let known = new Set(both)
  // One after the other, so that in the end none is left that was there when the tickets were made.
  for (const gone of both) {
    process.kill(gone, 'SIGKILL')
    const isReplaced = (pids: ReadonlySet<number>) => [...pids].filter(pid => !known.has(pid)).length === 1
    for (const options of sessions) {
      const answers = await askAll(port, isReplaced, options)
      t.ok(answers.filter(({ pid }) => !known.has(pid)).every(({ isResumed }) => isResumed), `${options.maxVersion}, in the place of worker ${gone}`)
      if (options === sessions.at(-1)) known = new Set([...known, ...answers.map(({ pid }) => pid)])
    }
  }
})

test('graceful renews the certificate in every worker, and sessions go on', async t => {
  const { supervisor, port, paths } = await start(t)
  const session = await sessionFrom(port, 'TLSv1.2')
  writeFileSync(paths.cert, second.certPem)
  writeFileSync(paths.key, second.keyPem)
  supervisor.kill('SIGUSR1')
  while ((await askAll(port, pids => pids.size === 2)).some(({ serial }) => serial !== second.certificate.serialNumber)) { /* until it is so */ }
  for (const { isResumed } of await askAll(port, pids => pids.size === 2, { session, maxVersion: 'TLSv1.2' })) t.ok(isResumed)
})
