import type { Server, TLSSocket } from 'node:tls'
import type { ReportEvent } from '../events.js'
import { peerCertificateOf } from './peer-certificate.js'
import type { compileVerify } from './rules.js'

export interface GateOptions {
  /** Asked of every peer that shows a certificate. */
  readonly verify: ReturnType<typeof compileVerify>
  /** Whether OpenSSL has refused everybody in a full handshake whom `verify` would refuse, so that only resumed ones are asked. */
  readonly isOfResumed: boolean
  /** ms for a decision; then the peer is refused. */
  readonly patience: number
  readonly report: ReportEvent
}

/**
 * Keeps a connection from the servers of HTTP until its peer is let in; resumed sessions come through here too.
 *
 * @returns a function that ends that
 */
export function gate (server: Server, { verify, isOfResumed, patience, report }: GateOptions): () => void {
  const behind = server.listeners('secureConnection') as Array<(socket: TLSSocket) => void>
  for (const listener of behind) server.off('secureConnection', listener)
  const onConnection = (socket: TLSSocket): void => {
    const pass = (): void => { for (const listener of behind) listener.call(server, socket) }
    if (isOfResumed && !socket.isSessionReused()) return pass()
    const peer = peerCertificateOf(socket)
    // Without a certificate nobody claims to be anyone: whether that will do, the mode or the route says.
    if (peer === null) return pass()
    const decide = (fault: string | null): void => {
      if (socket.destroyed) return
      if (fault === null) return pass()
      report('peer-refused', { reason: fault, fingerprint256: peer.fingerprint256, remoteAddress: socket.remoteAddress })
      socket.destroy()
    }
    const decision = verify(peer)
    if (decision instanceof Promise) waited(socket, decision, patience).then(decide, () => {})
    else decide(decision)
  }
  server.on('secureConnection', onConnection)
  return () => {
    server.off('secureConnection', onConnection)
    for (const listener of behind) server.on('secureConnection', listener)
  }
}

/** Nobody else listens to the connection meanwhile. */
async function waited (socket: TLSSocket, decision: Promise<string | null>, patience: number): Promise<string | null> {
  const ignore = (): void => {}
  socket.on('error', ignore)
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<string>(resolve => { timer = setTimeout(() => resolve(`no decision within ${patience} ms`), patience).unref() })
  try {
    return await Promise.race([decision, tooLate])
  } finally {
    clearTimeout(timer)
    socket.off('error', ignore)
  }
}
