/** What a site says to show a twin. */

import type { Answer, Launch } from "../embed/protocol";

/** Who comes, as far as the page says it; the names are those of the documented system. Nothing of it is believed. */
export interface User {
  email?: string;
  userid?: string | number;
  profilename?: string;
  usertype?: string | number;
  [name: string]: unknown;
}

/** How the button and the frame look; the names are those of the documented system. */
export interface Display {
  fullScreen?: boolean;
  openOnLoad?: boolean;
  /** Neither button nor close button are ours to make: the site shows and hides the frame by commands. */
  noUI?: boolean;
  buttonWidth?: string;
  buttonPosition?: string;
  buttonPositionRight?: string;
  buttonPositionBottom?: string;
  /** Ids of elements of the page for the button and for the frame. */
  buttonContainerId?: string;
  containerId?: string;
  /** What the button and the frame are called to those who cannot see them. */
  title?: string;
}

export interface Options {
  /** The server; where this script came from, if left out. */
  base?: string;
  /** The twin's public id. */
  twin: string;
  user?: User;
  /** A launch that the site's own server signed, or how to get one; without it, this server signs what the page says. */
  launch?: Launch | (() => Promise<Launch>);
  picture?: string;
  display?: Display;
}

/** What listeners are told of every command; `type` goes by whose name the command had. */
export interface Told {
  type: "twinspeak-response" | "pria-response";
  response: Answer;
  version: 1;
}

export type Listener = (told: Told) => void;
