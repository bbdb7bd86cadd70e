import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const LISTEN = '0A'

/**
 * Which process listens on a TCP port, e.g. `node (pid 4711)`; `undefined` where the system does not tell: elsewhere
 * than on Linux, and for processes of other users.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_net.5.html
 */
export function ownerOf (port: number): string | undefined {
  try {
    const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap(file => listeningInodes(readFileSync(file, 'utf8'), port)))
    const pid = readdirSync('/proc').filter(name => /^\d+$/.test(name)).find(name => holdsSocket(name, inodes))
    return pid === undefined ? undefined : `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`
  } catch {
    return undefined
  }
}

function listeningInodes (table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').slice(1)
    .map(line => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(suffix) === true && state === LISTEN)
    .map(columns => columns[9] as string)
}

function holdsSocket (pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some(fd => {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`)) ?? []
      return inode !== undefined && inodes.has(inode)
    })
  } catch {
    return false
  }
}

function linkOf (path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
