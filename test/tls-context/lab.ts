import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, type AddressInfo, type Server } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { once } from 'node:events'
import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls'
import { createServerContext, developmentCertificate, type ServerContext, type ServerContextOptions } from '@fastkeep/tls-context'
import { type Test } from 'tap'

export interface Lab {
  /** Paths. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** Texts. */
  readonly caPem: string
  readonly certPem: string
  readonly keyPem: string
}

/** A development certificate of the test's own. */
export async function lab (t: Test, names?: readonly string[]): Promise<Lab> {
  const { ca, cert, key } = await developmentCertificate({ directory: `${t.testdir({})}/certificates`, names })
  return { ca, cert, key, caPem: readFileSync(ca, 'utf8'), certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') }
}

/** Listens on a free port of 127.0.0.1 until the test ends. */
export async function listen (t: Test, server: Server): Promise<number> {
  // A handshake that a test makes fail reaches the server too.
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

/** Waits for a program that does not tell when it listens. */
export async function answering (port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isAnswered = await once(socket, 'connect').then(() => true, () => false)
    socket.destroy()
    if (isAnswered) return
    await setTimeout(10)
  }
}

/** A finished handshake; rejects when it fails. */
export async function handshake (t: Test, port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ...options })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/**
 * The certificate with other dates: two-digit years in UTCTime, so that no length changes. Its signature is void
 * with that, and nothing but a client looks at it.
 */
export function withYears (certPem: string, from: string, to: string): string {
  const der = Buffer.from(certPem.replaceAll(/-----.*-----/g, ''), 'base64')
  const notBefore = der.indexOf(Buffer.from('170d', 'hex'))
  der.write(from, notBefore + 2)
  der.write(to, notBefore + 15 + 2)
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
}

/**
 * The code of the error that a statement over `tls`, this package, throws; in a process of its own, since what waits
 * for ever may stop a whole process. That counts as a failure after 10 s.
 */
export function failureOf (statement: string, environment: NodeJS.ProcessEnv): string {
  const script = `import tls from '@fastkeep/tls-context'; try { ${statement} } catch (error) { console.log(error.code) }`
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: import.meta.dirname, encoding: 'utf8', timeout: 10_000, killSignal: 'SIGKILL', env: { ...process.env, NODE_OPTIONS: '', ...environment },
  }).trim()
}

/** The exit status of a script in a process of its own. */
export function exitStatus (script: string, environment: NodeJS.ProcessEnv): number {
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname, stdio: 'ignore', env: { ...process.env, NODE_OPTIONS: '', ...environment } })
    return 0
  } catch (error) {
    return (error as { status: number }).status
  }
}

/** A TLS server with a context that is attached to it. */
export async function serveContext (t: Test, options: ServerContextOptions): Promise<{ context: ServerContext, port: number }> {
  const context = createServerContext(options)
  const server = tls.createServer(context.options)
  const port = await listen(t, server)
  t.teardown(context.attach(server))
  return { context, port }
}
