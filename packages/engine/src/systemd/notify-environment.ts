/** What the service manager has told this process about notifications. */
export interface NotifyEnvironment {
  /** Path of the datagram socket, `@` before the name of an abstract one. */
  readonly socket: string
  /** ms within which the service manager wants to hear from the process; `undefined` where it does not watch this one. */
  readonly watchdog: number | undefined
}

const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const

/**
 * What the environment says; nothing where there is no socket. The watchdog counts if it was meant for the process
 * `pid`, or for whoever it is.
 *
 * @see https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 * @see https://www.freedesktop.org/software/systemd/man/latest/sd_watchdog_enabled.html
 */
export function parseNotifyEnvironment (env: NodeJS.ProcessEnv, pid: number): NotifyEnvironment | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC, WATCHDOG_PID } = env
  if (socket === undefined || !/^[/@]./.test(socket)) return undefined
  const isMeant = WATCHDOG_PID === undefined || WATCHDOG_PID === String(pid)
  const microseconds = /^[1-9]\d*$/.test(WATCHDOG_USEC ?? '') ? Number(WATCHDOG_USEC) : undefined
  return { socket, watchdog: isMeant && microseconds !== undefined ? microseconds / 1000 : undefined }
}

let taken: { readonly forSuccessor: NodeJS.ProcessEnv, isClaimed: boolean, readonly environment: NotifyEnvironment | undefined } | undefined

/**
 * Gives what this process was told to the first who asks, and removes it: no child is to speak for the service. A
 * process has one life to tell of, so that a second bus in it gets nothing.
 */
export function claimNotifyEnvironment (): NotifyEnvironment | undefined {
  if (taken === undefined) {
    const environment = parseNotifyEnvironment(process.env, process.pid)
    const { NOTIFY_SOCKET, WATCHDOG_USEC } = process.env
    const watchdog = environment?.watchdog === undefined ? {} : { WATCHDOG_USEC }
    taken = { environment, forSuccessor: environment === undefined ? {} : { NOTIFY_SOCKET, ...watchdog }, isClaimed: false }
    for (const variable of VARIABLES) Reflect.deleteProperty(process.env, variable)
  }
  if (taken.isClaimed) return undefined
  taken.isClaimed = true
  return taken.environment
}

/** The variables for a process that takes the place of this one. They name no pid: it will be the one that is watched. */
export function notifyVariables (): NodeJS.ProcessEnv {
  return taken?.forSuccessor ?? {}
}
