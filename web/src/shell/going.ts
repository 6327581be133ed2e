import type { useNavigate } from "@tanstack/react-router";

/** Go to an address of the page. One with a query is read as it is written, so the page is loaded anew for it. */
export async function go(navigate: ReturnType<typeof useNavigate>, address: string): Promise<void> {
  if (address.includes("?")) location.assign(address);
  else await navigate({ to: address });
}
