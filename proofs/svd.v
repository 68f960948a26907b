From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear norms eckart_young spectral.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* What the singular value decomposition does for a nested layer (SVD):       *)
(* surgery of a pretrained weight, plain and whitened, and training.          *)
(******************************************************************************)

Section Svd.

Variable F : rcfType.

(* SVD-1. Every matrix has a factor pair whose every prefix is optimal. *)
Theorem nested_optimum_exists m n (W : 'M[F]_(m, n)) :
  exists (k : nat) (B : 'M[F]_(m, k)) (A : 'M[F]_(k, n)),
    [/\ W = B *m A, A *m A^T = 1%:M &
      forall r (X : 'M[F]_(m, n)), (\rank X <= r)%N ->
        nrm (W - Wpre B A r) <= nrm (W - X)].
Proof.
have [k [U [V [s [oU oV _ ss eW]]]]] := thin_svd W.
exists k, (U *m diag_mx s), V^T; split=> //; first by rewrite trmxK.
move=> r X rX; apply: ler_wsqrtr; rewrite {1}eW [in X in _ <= X]eW.
exact: svd_prefix_optimal.
Qed.

End Svd.
