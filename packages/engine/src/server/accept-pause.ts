import { Socket, type Server as NetServer } from 'node:net'

/*
 * A process that shares its listening socket with others can leave new connections to them: it closes its own handle of
 * the socket, and goes on later with another one, which it is sent. Node has no public way to do either to a server that
 * goes on serving its connections, so this is the one file that knows how sockets and servers hold their handles.
 */

/** Node's own object for a listening socket. */
export interface ListeningHandle {
  onconnection?: unknown
  close (): void
  listen (backlog: number): number
  [owner: symbol]: unknown
}

/** A server that does not accept for the time being. */
export interface AcceptPause {
  /** @param handle of the same socket; it is closed if the server has been closed meanwhile */
  end (handle: ListeningHandle): void
}

/** @returns `undefined` if this version of Node, or this server, does not allow it */
export function pauseAccepting (server: NetServer, backlog: number): AcceptPause | undefined {
  const holder = server as NetServer & { _handle?: ListeningHandle | null }
  const handle = holder._handle ?? undefined
  const owner = handle === undefined ? undefined : Object.getOwnPropertySymbols(handle).find(symbol => handle[symbol] === server)
  if (handle === undefined || owner === undefined || typeof handle.onconnection !== 'function') return undefined
  const { onconnection } = handle
  handle.close()
  // What listens keeps a process alive, and so does what will listen again.
  const alive = setInterval(() => {}, 2 ** 31 - 1)
  server.once('close', () => clearInterval(alive))
  return {
    end: next => {
      clearInterval(alive)
      if (holder._handle !== handle) return next.close()
      next.onconnection = onconnection
      next[owner] = server
      holder._handle = next
      next.listen(backlog)
    },
  }
}

/** For `subprocess.send()`, which takes no descriptors. The descriptor stays its owner's to close. */
export function sendableHandle (fd: number): ListeningHandle {
  const options = { fd, manualStart: true }
  return (new Socket(options) as Socket & { _handle: ListeningHandle })._handle
}
