//! The guard of a PostgreSQL container: see `xtask::pg::guard` for what it says to `xtask`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::{CmdWaitFor, ExecCommand, IntoContainerPort, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::runtime::{Builder, Runtime};
use xtask::pg::{IMAGE, SMALL_DISK, TAG, guard, probe, settings};
use xtask::process;

/// A container's 64 MB of shared memory are too few for parallel index builds.
const SHARED_MEMORY: u64 = 1 << 30;
/// Soon full, which is what it is for.
const SMALL_DISK_BYTES: i64 = 40 << 20;
const START_PATIENCE: Duration = Duration::from_secs(90);

/// Runs PostgreSQL in a container until standard input ends.
#[derive(Parser)]
struct Cli {
    /// Let the server wait for the disk.
    #[arg(long)]
    fsync: bool,
}

fn main() -> ExitCode {
    process::exit_code(DockerServer::create(Cli::parse().fsync).and_then(guard::serve))
}

struct DockerServer {
    runtime: Runtime,
    container: Option<ContainerAsync<GenericImage>>,
    host: String,
    port: u16,
    password: String,
}

impl DockerServer {
    fn create(fsync: bool) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let password = probe::password();
        // A port of our choice, so that the URL outlives a restart of the container.
        let port = probe::free_port()?;
        let request = GenericImage::new(IMAGE, TAG)
            .with_mapped_port(port, 5432.tcp())
            .with_env_var("POSTGRES_PASSWORD", &password)
            .with_shm_size(SHARED_MEMORY)
            .with_mount(Mount::tmpfs_mount(SMALL_DISK).with_size_bytes(SMALL_DISK_BYTES).with_mode(0o1777))
            .with_startup_timeout(START_PATIENCE)
            .with_cmd(std::iter::once("postgres").chain(settings(fsync)));
        let container = runtime.block_on(request.start()).map_err(|error| {
            anyhow!(error).context(format!(
                "cannot run a container of {IMAGE}:{TAG}: is the Docker engine running, and has it the image \
                 (`docker pull {IMAGE}:{TAG}`)?"
            ))
        })?;
        let host = runtime.block_on(container.get_host())?.to_string();
        let server = Self { runtime, container: Some(container), host, port, password };
        server.wait_ready()?;
        Ok(server)
    }

    fn container(&self) -> Result<&ContainerAsync<GenericImage>> {
        self.container.as_ref().context("the container was removed")
    }

    /// The image starts a first server to set the database up, which listens on no port: so an
    /// answer at the port is the server that stays.
    fn wait_ready(&self) -> Result<()> {
        let address = self.address()?;
        let container = self.container()?;
        probe::wait_ready(address, START_PATIENCE, || {
            if self.runtime.block_on(container.is_running())? {
                return Ok(());
            }
            let log = self.runtime.block_on(container.stderr_to_vec()).unwrap_or_default();
            bail!("PostgreSQL ended in its container:\n{}", String::from_utf8_lossy(&log))
        })
    }

    fn address(&self) -> Result<SocketAddr> {
        (self.host.as_str(), self.port)
            .to_socket_addrs()
            .ok()
            // Docker's port on ::1 is not there everywhere.
            .and_then(|mut addresses| addresses.find(SocketAddr::is_ipv4))
            .with_context(|| format!("the Docker host {} has no address", self.host))
    }
}

impl guard::Server for DockerServer {
    fn url(&self) -> String {
        let host = self.address().map_or_else(|_| self.host.clone(), |address| address.ip().to_string());
        format!("postgres://postgres:{}@{host}:{}/postgres", self.password, self.port)
    }

    fn kill(&mut self) -> Result<()> {
        let container = self.container()?;
        self.runtime.block_on(async {
            if container.is_running().await? {
                let docker = docker_client_instance().await?;
                // Its default signal is SIGKILL, for every process of the container.
                docker.kill_container(container.id(), None).await?;
            }
            while container.is_running().await? {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        })
    }

    fn stop(&mut self) -> Result<()> {
        let container = self.container()?;
        // The entry point's own SIGTERM would wait for clients to leave; SIGINT is the fast shutdown.
        self.runtime.block_on(async {
            let docker = docker_client_instance().await?;
            let options = testcontainers::bollard::query_parameters::KillContainerOptionsBuilder::new()
                .signal("SIGINT")
                .build();
            if container.is_running().await? {
                docker.kill_container(container.id(), Some(options)).await?;
            }
            for _ in 0..2_000 {
                if !container.is_running().await? {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            bail!("PostgreSQL did not stop within 20 s")
        })
    }

    fn start(&mut self) -> Result<()> {
        let container = self.container()?;
        self.runtime.block_on(async {
            if container.is_running().await? {
                return Ok(());
            }
            container.start().await?;
            // Docker mounts the file system again, and forgets who may write there.
            let chmod = ExecCommand::new(["chmod", "1777", SMALL_DISK]);
            container.exec(chmod.with_cmd_ready_condition(CmdWaitFor::exit_code(0))).await?;
            anyhow::Ok(())
        })?;
        self.wait_ready()
    }

    fn remove(&mut self) -> Result<()> {
        match self.container.take() {
            Some(container) => self.runtime.block_on(container.rm()).context("cannot remove the container"),
            None => Ok(()),
        }
    }
}
