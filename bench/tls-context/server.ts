import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cpuTime } from '../engine/thread-statistics.js'
import { freePort } from '../free-port.js'
import { type Lab } from './lab.js'

/** A server process, on the first core where the system can pin it. */
export interface BenchServer {
  readonly port: number
  /** ms of CPU so far. */
  cpu (): number
  end (): void
}

const pinned = spawnSync('taskset', ['-c', '0', 'true']).status === 0 ? ['taskset', '-c', '0'] : ['env']

export async function nodeServer (kind: 'ours' | 'ours, names' | 'bare' | 'bare, names', { cert, key }: Lab): Promise<BenchServer> {
  const child = start([process.execPath, program('server.js'), JSON.stringify({ kind, cert, key })])
  const [line] = await once(createInterface({ input: child.stdout as Readable }), 'line') as [string]
  return of(child, Number(line))
}

/** `undefined` where it is not installed. */
export async function nginxServer ({ directory, cert, key }: Lab): Promise<BenchServer | undefined> {
  if (spawnSync('nginx', ['-v']).status !== 0) return undefined
  const port = await freePort()
  const temporary = join(directory, 'nginx')
  mkdirSync(temporary, { recursive: true })
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${temporary}/${kind};`).join(' ')
  writeFileSync(join(temporary, 'nginx.conf'), `daemon off; master_process off; pid ${temporary}/pid; error_log /dev/null; events { worker_connections 1024; }
    http { access_log off; ${paths} server { listen 127.0.0.1:${port} ssl; ssl_certificate ${cert}; ssl_certificate_key ${key};
    ssl_protocols TLSv1.3; ssl_session_tickets on; location / { return 200 ok; } } }`)
  const child = start(['nginx', '-c', join(temporary, 'nginx.conf'), '-p', temporary, '-e', '/dev/null'])
  while (!await answers(port)) await setTimeout(10)
  return of(child, port)
}

export function program (name: string): string {
  return fileURLToPath(new URL(`programs/${name}`, import.meta.url))
}

function start (command: readonly string[]): ChildProcess {
  const [file = 'env', ...args] = [...pinned, ...command]
  return spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

function of (child: ChildProcess, port: number): BenchServer {
  return { port, cpu: () => cpuTime(child.pid as number), end: () => { child.kill('SIGKILL') } }
}

async function answers (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const answered = await once(socket, 'connect').then(() => true, () => false)
  socket.destroy()
  return answered
}
