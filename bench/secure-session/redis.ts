import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.js'

/** Runs a measure with a redis-server of its own that keeps nothing on disk. */
export async function withRedis<Result> (measure: (port: string) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-bench-redis-'))
  const port = String(await freePort())
  const server = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--dir', directory, '--save', ''], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  const killed = (): void => { server.kill('SIGKILL') }
  process.once('exit', killed)
  try {
    for await (const text of server.stdout.setEncoding('utf8')) if (/ready to accept connections/i.test(String(text))) break
    return await measure(port)
  } finally {
    server.kill()
    await ended
    process.off('exit', killed)
    rmSync(directory, { recursive: true, force: true })
  }
}
