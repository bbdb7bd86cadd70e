import { once } from 'node:events'
import tls, { type ConnectionOptions } from 'node:tls'
import { type Figure, type Scale } from '../engine/figure.js'
import { interleave } from '../engine/rounds.js'
import { withLab, type Lab } from './lab.js'
import { nginxServer, nodeServer, type BenchServer } from './server.js'

const connections = 12
const unit = 'connections per CPU-second'

/** Connections with one GET each that a second of the server's CPU is enough for, full and resumed, over TLS 1.3. */
export async function handshakes ({ isFull }: Scale): Promise<Figure[]> {
  return await withLab(async lab => [
    ...await sideBySide(lab, isFull, 'full', 'ours', 'bare', 0.97),
    ...await sideBySide(lab, isFull, 'resumed', 'ours', 'bare', 0.97),
    ...await sideBySide(lab, isFull, 'full', 'ours, names', 'bare, names', 0.95),
    ...await sideBySide(lab, isFull, 'resumed', 'ours, names', 'bare, names', 0.95),
    // What a map costs at all: Node asks JavaScript for each connection.
    ...await sideBySide(lab, isFull, 'full', 'ours, names', 'bare'),
    ...await sideBySide(lab, isFull, 'full', 'ours', 'nginx'),
    ...await sideBySide(lab, isFull, 'resumed', 'ours', 'nginx'),
  ])
}

type Ours = 'ours' | 'ours, names'
type Peer = 'bare' | 'bare, names' | 'nginx'

async function sideBySide (lab: Lab, isFull: boolean, mode: 'full' | 'resumed', ours: Ours, peer: Peer, atLeast?: number): Promise<Figure[]> {
  const what = `${mode} handshakes${ours === 'ours' ? '' : ', 1,000 names'}`
  const servername = ours === 'ours' ? 'localhost' : 'n500.example.test'
  const other = peer === 'nginx' ? await nginxServer(lab) : await nodeServer(peer, lab)
  if (other === undefined) return [{ what, unit, samples: [], note: 'nginx: not run, it is not installed' }]
  const server = await nodeServer(ours, lab)
  try {
    // Many short rounds: what else the machine does changes more slowly, and is the same for both.
    const seconds = 0.5
    const results = await interleave(isFull ? 60 : 20, {
      ours: async () => await rate(server, mode, servername, seconds),
      peer: async () => await rate(other, mode, servername, seconds),
    })
    const name = peer === 'nginx' ? 'nginx' : peer === 'bare' ? 'bare node:https' : 'bare node:https with a map'
    return [{ what, unit, samples: results.ours, peer: { name, samples: results.peer }, ...atLeast !== undefined && { target: { of: 'ratio', atLeast } } }]
  } finally {
    server.end()
    other.end()
  }
}

async function rate (server: BenchServer, mode: 'full' | 'resumed', servername: string, seconds: number): Promise<number> {
  const session = mode === 'resumed' ? await newSession(server.port, servername) : undefined
  const end = performance.now() + seconds * 1_000
  const before = server.cpu()
  let count = 0
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < end) {
      const isResumed = await get(server.port, { servername, ...session !== undefined && { session } })
      if (isResumed !== (mode === 'resumed')) throw new Error(`a ${mode} handshake was asked for and not made`)
      count++
    }
  }))
  return count / ((server.cpu() - before) / 1_000)
}

/** @returns whether the session was resumed */
async function get (port: number, options: ConnectionOptions): Promise<boolean> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, minVersion: 'TLSv1.3', ecdhCurve: 'X25519', ...options })
  await once(socket, 'secureConnect')
  const isResumed = socket.isSessionReused()
  socket.end(`GET / HTTP/1.1\r\nHost: ${options.servername}\r\nConnection: close\r\n\r\n`)
  await once(socket.resume(), 'close')
  return isResumed
}

async function newSession (port: number, servername: string): Promise<Buffer> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, minVersion: 'TLSv1.3', ecdhCurve: 'X25519', servername })
  const [session] = await once(socket, 'session') as [Buffer]
  socket.destroy()
  return session
}
