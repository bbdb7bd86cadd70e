import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { TicketChain } from '@fastkeep/tls-context'
import { type Figure } from '../engine/figure.js'
import { withLab } from './lab.js'

const worker = fileURLToPath(new URL('../../test/tls-context/fixtures/ticket-worker.js', import.meta.url))

/** How many of 200 sessions are resumed by another of 4 processes. */
export async function resumption (): Promise<Figure[]> {
  return await withLab(async lab => {
    const [cert, key] = [readFileSync(lab.cert, 'utf8'), readFileSync(lab.key, 'utf8')]
    const chain = new TicketChain()
    const children = Array.from({ length: 4 }, () => fork(worker, { execArgv: [] }))
    try {
      const ports = await Promise.all(children.map(async child => await portOf(child, { ticketLink: chain.link(), cert, key })))
      let resumed = 0
      for (let count = 0; count < 200; count++) {
        const session = await sessionOf(ports[count % 4] as number)
        if (await isResumed(ports[(count * 7 + 1) % 4] as number, session)) resumed++
      }
      return [{ what: 'sessions resumed by another of 4 processes', unit: '%', samples: [resumed / 2], target: { of: 'every', atLeast: 100 } }]
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  })
}

async function portOf (child: ChildProcess, message: object): Promise<number> {
  child.send(message)
  const [port] = await once(child, 'message') as [number]
  return port
}

const options = { host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false }

async function sessionOf (port: number): Promise<Buffer> {
  const socket = tls.connect({ ...options, port })
  const [session] = await once(socket, 'session') as [Buffer]
  socket.destroy()
  return session
}

async function isResumed (port: number, session: Buffer): Promise<boolean> {
  const socket = tls.connect({ ...options, port, session })
  await once(socket, 'secureConnect')
  const result = socket.isSessionReused()
  socket.destroy()
  return result
}
