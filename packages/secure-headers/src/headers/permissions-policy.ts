import type { OptionRules } from '@fastkeep/options'
import { PermissionsPolicyInvalid } from '../errors.js'
import { STRING_LIST } from './string-list.js'

/**
 * The features that browsers know and have not given up, after `http.headers.Permissions-Policy` of
 * @mdn/browser-compat-data 8.1.9 and `document.featurePolicy.features()` of Chromium 156.
 */
export const FEATURES = [
  'accelerometer', 'ambient-light-sensor', 'aria-notify', 'autoplay', 'bluetooth', 'camera', 'captured-surface-control',
  'ch-ua-high-entropy-values', 'clipboard-read', 'clipboard-write', 'compute-pressure', 'cross-origin-isolated',
  'deferred-fetch', 'deferred-fetch-minimal', 'display-capture', 'encrypted-media', 'fullscreen', 'gamepad',
  'geolocation', 'gyroscope', 'hid', 'identity-credentials-get', 'idle-detection', 'keyboard-map', 'language-model',
  'local-fonts', 'local-network', 'local-network-access', 'loopback-network', 'magnetometer', 'microphone', 'midi',
  'on-device-speech-recognition', 'otp-credentials', 'payment', 'picture-in-picture', 'private-state-token-issuance',
  'private-state-token-redemption', 'publickey-credentials-create', 'publickey-credentials-get', 'screen-wake-lock',
  'serial', 'storage-access', 'summarizer', 'sync-xhr', 'unload', 'usb', 'web-app-installation', 'web-share',
  'window-management', 'xr-spatial-tracking',
] as const

export type PermissionsPolicyFeature = typeof FEATURES[number]

/**
 * Who may use a feature: `[]` nobody, `['self']` this origin, `['*']` everybody, or origins such as
 * `https://maps.example` or `https://*.maps.example`. `null` takes the feature out of the header, which leaves it to
 * the browser's own default.
 */
export type PermissionsPolicyOptions = { readonly [Feature in PermissionsPolicyFeature]?: readonly string[] | null }

export type PermissionsPolicy = { readonly [Feature in PermissionsPolicyFeature]?: readonly string[] }

/**
 * OWASP Secure Headers Project, `ci/headers_add.json` of 2026-07-19, without `interest-cohort`, whose feature (FLoC)
 * is gone, and without `web-share`, which Chromium on Linux does not know and complains about on every page.
 */
export const PERMISSIONS_POLICY_DEFAULTS: PermissionsPolicy = {
  accelerometer: [],
  autoplay: [],
  camera: [],
  'cross-origin-isolated': [],
  'display-capture': [],
  'encrypted-media': [],
  fullscreen: [],
  geolocation: [],
  gyroscope: [],
  'keyboard-map': [],
  magnetometer: [],
  microphone: [],
  midi: [],
  payment: [],
  'picture-in-picture': [],
  'publickey-credentials-get': [],
  'screen-wake-lock': [],
  'sync-xhr': ['self'],
  usb: [],
  'xr-spatial-tracking': [],
  'clipboard-read': [],
  'clipboard-write': [],
  gamepad: [],
  hid: [],
  'idle-detection': [],
  serial: [],
  unload: [],
}

export const PERMISSIONS_POLICY_RULES: OptionRules = Object.fromEntries(FEATURES.map(feature => [feature, STRING_LIST]))

const ORIGIN = /^https?:\/\/(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?$/

/**
 * Throws `FST_KEEP_SECURE_HEADERS_PERMISSIONS_POLICY` for an allowlist that the header cannot carry.
 *
 * @param path of the option, for the error
 */
export function checkPermissionsPolicy (options: PermissionsPolicyOptions, path: string): void {
  for (const [feature, allowlist] of Object.entries(options)) {
    for (const entry of allowlist ?? []) {
      if (entry === '*' && allowlist?.length === 1) continue
      if (entry === 'self' || ORIGIN.test(entry)) continue
      throw new PermissionsPolicyInvalid(`${path}.${feature}`, JSON.stringify(entry), advice(entry))
    }
  }
}

function advice (entry: string): string {
  if (entry === '*') return '"*" stands alone'
  if (entry === "'self'") return 'write "self": this header has no quoted keywords'
  if (entry === 'none' || entry === "'none'") return 'an empty array allows nobody'
  return 'an entry is "self", "*" or an origin in lower case such as "https://maps.example"'
}

/** The inherited policy with the given allowlists replaced, or removed where they are `null`. */
export function mergePermissionsPolicy (inherited: PermissionsPolicy, given: PermissionsPolicyOptions): PermissionsPolicy {
  const merged = new Map(Object.entries(inherited))
  for (const [feature, allowlist] of Object.entries(given)) {
    if (allowlist === null) merged.delete(feature)
    // A copy: what the caller adds to the array later is not checked any more.
    else if (allowlist !== undefined) merged.set(feature, [...allowlist])
  }
  return Object.fromEntries(merged)
}

/** The header's value, https://w3c.github.io/webappsec-permissions-policy/#permissions-policy-http-header-field */
export function permissionsPolicy (policy: PermissionsPolicy): string {
  return Object.entries(policy).map(([feature, allowlist]) => `${feature}=${structuredList(allowlist)}`).join(', ')
}

function structuredList (allowlist: readonly string[]): string {
  if (allowlist[0] === '*') return '*'
  return `(${allowlist.map(entry => entry === 'self' ? 'self' : `"${entry}"`).join(' ')})`
}
