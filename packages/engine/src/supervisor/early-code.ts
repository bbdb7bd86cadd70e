import { SupervisorRefused } from '../errors.js'

/** What Node loads before the module in which a worker gives its privileges up. */
const LOADED_BEFORE = /^(-r|--require|--loader|--experimental-loader)(=|$)/

/**
 * Refuses flags that would run code in a worker while it is still as privileged as its supervisor.
 *
 * @throws `FST_KEEP_ENGINE_SUPERVISOR_REFUSED`
 */
export function assertNothingRunsBefore (execArgv: readonly string[], nodeOptions: string): void {
  const early = execArgv.find(flag => LOADED_BEFORE.test(flag.replaceAll('_', '-')))
  if (early !== undefined) throw new SupervisorRefused(`execArgv: ${early} would run code as root in each worker before it becomes another user; use --import`)
  const inherited = nodeOptions.split(/\s+/).find(flag => LOADED_BEFORE.test(flag.replaceAll('_', '-')) || flag.startsWith('--import'))
  if (inherited !== undefined) throw new SupervisorRefused(`NODE_OPTIONS: ${inherited} would run code as root in each worker before it becomes another user; put it into execArgv as --import`)
}
