//! What `pacemaker-based metadata` prints: the cluster options this daemon obeys.
//!
//! Source: `spec/cib.md` §15.3.

use crate::daemon::VERSION;

/// The metadata as XML text.
pub fn text() -> String {
    format!(
        r#"<?xml version="1.0"?>
<resource-agent name="pacemaker-based" version="{VERSION}">
  <version>1.1</version>
  <longdesc lang="en">Cluster options used by Pacemaker&apos;s Cluster Information Base manager</longdesc>
  <shortdesc lang="en">Cluster Information Base manager options</shortdesc>
  <parameters>
    <parameter name="enable-acl">
      <longdesc lang="en">Enable Access Control Lists (ACLs) for the CIB</longdesc>
      <shortdesc lang="en">Enable Access Control Lists (ACLs) for the CIB</shortdesc>
      <content type="boolean" default="false"/>
    </parameter>
    <parameter name="cluster-ipc-limit">
      <longdesc lang="en">Raise this if log has &quot;Evicting client&quot; messages for cluster daemon PIDs (a good value is the number of resources in the cluster multiplied by the number of nodes).</longdesc>
      <shortdesc lang="en">Maximum IPC message backlog before disconnecting a cluster daemon</shortdesc>
      <content type="integer" default="500"/>
    </parameter>
  </parameters>
</resource-agent>"#
    )
}
