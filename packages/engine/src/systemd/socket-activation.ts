import { fstatSync } from 'node:fs'
import { InheritedDescriptorsInvalid } from '../errors.js'

/** A listening socket that this process was started with. */
export interface InheritedDescriptor {
  readonly fd: number
  /** What `FileDescriptorName=` of the socket unit says, or `undefined`. */
  readonly name: string | undefined
  /** Of a unix socket, where who passed it has said so: the system does not tell it. */
  readonly path?: string | undefined
}

/** The first descriptor that is passed. */
export const LISTEN_FDS_START = 3

const VARIABLES = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'] as const

/**
 * The descriptors that the environment says were passed to the process `pid`; none if they were meant for another one.
 *
 * @throws `FST_KEEP_ENGINE_INHERITED_DESCRIPTORS` where the variables are malformed
 * @see https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
 */
export function parseInherited (env: NodeJS.ProcessEnv, pid: number): InheritedDescriptor[] {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = env
  if (LISTEN_FDS === undefined || LISTEN_PID !== String(pid)) return []
  const count = Number(LISTEN_FDS)
  if (!Number.isInteger(count) || count < 0 || count > 4096) {
    throw new InheritedDescriptorsInvalid(`LISTEN_FDS must be a number of descriptors, it is ${JSON.stringify(LISTEN_FDS)}`)
  }
  const names = LISTEN_FDNAMES?.split(':') ?? []
  if (names.length > 0 && names.length !== count) {
    throw new InheritedDescriptorsInvalid(`LISTEN_FDS passes ${count} descriptors, LISTEN_FDNAMES names ${names.length}`)
  }
  return Array.from({ length: count }, (_, index) => ({ fd: LISTEN_FDS_START + index, name: names[index] }))
}

let taken: InheritedDescriptor[] | undefined

/** The name that a unit gives to the notification socket: `OpenFile=/run/systemd/notify:notify`. */
const NOTIFY = 'notify'

/** The descriptor of the notification socket among those passed to this process, to be taken once; it is no socket to listen on. */
export function takeNotifyDescriptor (): number | undefined {
  takeInherited()
  const index = taken?.findIndex(({ name }) => name === NOTIFY) ?? -1
  return index === -1 ? undefined : taken?.splice(index, 1)[0]?.fd
}

/**
 * The descriptors passed to this process. The variables are removed, so that no child takes them for its own.
 *
 * @throws `FST_KEEP_ENGINE_INHERITED_DESCRIPTORS` also where one is no socket: what has that number may be Node's own
 */
export function takeInherited (): readonly InheritedDescriptor[] {
  if (taken === undefined) {
    const passed = parseInherited(process.env, process.pid)
    for (const { fd, name } of passed) {
      if (name !== NOTIFY && !isSocket(fd)) throw new InheritedDescriptorsInvalid(`LISTEN_FDS passes ${passed.length} descriptors, and ${fd} is no socket`)
    }
    taken = passed
    for (const variable of VARIABLES) Reflect.deleteProperty(process.env, variable)
  }
  return taken
}

function isSocket (fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}
